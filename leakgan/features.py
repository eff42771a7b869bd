"""Features that the discriminator leaks."""

from typing import Any

from seqgan.models.cnn import CNNDiscriminator
from seqgan.models.discriminator import Discriminator
from seqgan.models.prefix_features import PrefixFeatures


def leaking_part(discriminator: Discriminator) -> CNNDiscriminator:
    """Return the convolutional network whose features are leaked: the discriminator itself, or its ``cnn``.

    Raises:
        ValueError: It has none.
    """
    found = getattr(discriminator, "cnn", discriminator)
    if not isinstance(found, CNNDiscriminator):
        raise ValueError(
            f"--discriminator.kind: {type(discriminator).__name__} leaks no features; choose cnn or cnn+pairs"
        )
    return found


class LeakedFeatures(PrefixFeatures):
    """Features f_t of the prefix y_1..y_t behind the highway layer of a discriminator, without gradient.

    This is no module, so that a generator that listens does not own the discriminator: its parameters are
    neither trained nor saved with the generator's, and copies of the generator listen to the same one.

    Raises:
        ValueError: The discriminator has no convolutional network.
    """

    def __init__(self, discriminator: Discriminator) -> None:
        super().__init__(leaking_part(discriminator))
        self.discriminator = discriminator

    def __deepcopy__(self, memo: dict[int, Any]) -> "LeakedFeatures":
        return self
