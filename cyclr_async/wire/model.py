"""What all models share."""

from typing import Any, Self

from cyclr_async.wire.converter import structure, unstructure

__all__ = ["Model"]


class Model:
    """The two ways between a model and the JSON object it came from.

    Every model also has ``extra``: an immutable mapping of the fields that the answer held and the API document does
    not describe, by their names on the wire. ``extra`` counts for equality and is left out of ``repr`` and ``hash``.
    """

    __slots__ = ()

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Make the model from a JSON object of the API.

        Args:
            data: the parsed JSON object, with the names of the API.

        Raises:
            DecodeError: a required field is missing or a value has the wrong type.
        """
        return structure(data, cls)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object as the API sent it: its names, its date texts, unknown fields, null and absent.

        Secret values are :class:`~cyclr_async.secret.HiddenStr`: they serialise as the text and print as ``'***'``.
        """
        return unstructure(self)
