"""The reports of `lrdoctor check`: one module a format, each with `render(checked, pages)`."""
