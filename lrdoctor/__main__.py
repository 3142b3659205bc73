"""`python -m lrdoctor`."""

from lrdoctor.cli.main import main

main()
