"""``python -m meshcors``: the same as the console script ``meshcors``."""

from meshcors._cli import main

if __name__ == "__main__":
    main()
