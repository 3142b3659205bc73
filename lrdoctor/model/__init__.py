"""The types that travel between the layers: frozen dataclasses with numpy inside, no I/O."""
