"""``python -m meshcors``: the same as the console script ``meshcors``."""

import sys


def main() -> None:
    """Run the command line; the pod is ready for SIGTERM before anything else is imported."""
    if sys.argv[1:2] == ["dummy"]:
        from meshcors.dummy import end_on_sigterm

        end_on_sigterm()
    try:
        from meshcors._cli import main as run

        run()
    except KeyboardInterrupt:
        # Ctrl-C while modules are imported
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
