"""As much of torch as guidellm's data loader touches for text, in place of the
gigabytes of the real one."""

from . import utils  # noqa: F401


class Tensor:
    """Only named in annotations."""


class Generator:
    """Prompts are drawn elsewhere; the loader's own shuffling is off."""

    def manual_seed(self, seed):
        return self
