"""What stands between a connection and aiohttp's parser."""

from __future__ import annotations

from aiohttp import ClientPayloadError
from aiohttp.client_proto import ResponseHandler

__all__ = ["HeadFirstHandler"]


class HeadFirstHandler(ResponseHandler):
    """Hands out the head of a refusal before its body is parsed, so that a broken body cannot hide the status.

    aiohttp's parser in C takes what was read in one go. Where it meets a bad chunk size, or bytes after the end, it
    raises, and the head that it had understood is lost with it: a 401 would be no 401 any more.
    """

    def data_received(self, data: bytes) -> None:
        """Take bytes from the connection."""
        # Good answers go as they come, because with a broken body they are none. This is called for each of them: it
        # is one comparison, and the method goes by its name, since super() is several times as dear.
        if data[8:10] != b" 2" and data[:7] == b"HTTP/1.":
            self._refused(data)
        else:
            ResponseHandler.data_received(self, data)

    def _refused(self, data: bytes) -> None:
        while data.startswith(b"HTTP/1.") and data[8:10] != b" 2" and self.exception() is None:
            end = data.find(b"\r\n\r\n") + 4
            if not 4 <= end < len(data):
                break
            ResponseHandler.data_received(self, data[:end])
            data = data[end:]
        ResponseHandler.data_received(self, data)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """Note that the connection is broken, also for whoever reads the body and would wait for it in vain."""
        super().set_exception(exc, *cause)
        payload = self._payload
        if payload is not None and not payload.is_eof() and payload.exception() is None:
            payload.set_exception(ClientPayloadError("the rest of the body cannot be parsed"))
