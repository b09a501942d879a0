"""What stands around the rows of a request: media types, content codings, and what is wrong with it."""

import zlib
from dataclasses import dataclass
from email.message import Message
from functools import lru_cache
from http import HTTPStatus

CSV, JSON, JSON_LINES = "text/csv", "application/json", "application/jsonlines"
PARQUET, NPY, NPZ = "application/vnd.apache.parquet", "application/x-npy", "application/x-npz"
ANSWERED = (JSON, CSV, JSON_LINES)
TAKEN = (JSON, CSV, JSON_LINES, PARQUET, NPY, NPZ)
ALIASES = {
    "application/x-jsonlines": JSON_LINES,
    "application/jsonl": JSON_LINES,
    "application/x-ndjson": JSON_LINES,
    "application/x-parquet": PARQUET,
    "application/csv": CSV,
}
UTF_8 = ("utf-8", "utf8", "us-ascii", "ascii")
GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib: expect the header of gzip


@dataclass
class RequestError(Exception):
    """A request that cannot be answered: status 4xx, one line for the client, and the cell if there is one."""

    message: str
    status: HTTPStatus = HTTPStatus.BAD_REQUEST
    row: int | None = None
    column: str | None = None


@dataclass(frozen=True)
class ContentType:
    """The media type of a body, one of TAKEN; `header` is what RFC 4180's parameter says of the first CSV line."""

    media_type: str
    charset: str = "utf-8"
    header: bool | None = None


@lru_cache(maxsize=256)
def read_content_type(text: str) -> ContentType:
    """The Content-Type header; JSON when it is blank. Raises RequestError (415)."""
    if not text.strip():
        return ContentType(JSON)
    message = Message()
    message["content-type"] = text
    media_type = text.split(";", 1)[0].strip().lower()
    media_type = ALIASES.get(media_type, media_type)
    if media_type not in TAKEN:
        raise RequestError(
            f"content type {media_type[:60]!r}: send {_one_of(TAKEN)}", HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        )
    charset = str(message.get_param("charset") or "utf-8").strip("'").lower()
    try:
        "".encode(charset)
    except (LookupError, ValueError):
        raise RequestError(f"charset {charset[:40]!r}: send utf-8", HTTPStatus.UNSUPPORTED_MEDIA_TYPE) from None
    header = {"present": True, "absent": False}.get(str(message.get_param("header")).lower())
    return ContentType(media_type, "utf-8" if charset in UTF_8 else charset, header)


@lru_cache(maxsize=256)
def choose_media_type(accept: str) -> str:
    """The media type to answer with: of those that we have, the one that the Accept header likes best (RFC 9110).

    Raises RequestError (406).
    """
    wishes: dict[str, tuple[float, int]] = {}
    for position, part in enumerate(accept.split(",")):
        name, *parameters = (word.strip().lower() for word in part.split(";"))
        quality = next((_quality(word[2:]) for word in parameters if word.startswith("q=")), 1.0)
        wishes.setdefault(ALIASES.get(name, name or "*/*"), (quality, -position))
    best, chosen = (0.0, 0), ""
    for media_type in ANSWERED:
        names = (media_type, media_type.split("/")[0] + "/*", "*/*")
        wish = next((wishes[name] for name in names if name in wishes), (0.0, 0))
        if wish[0] > 0 and (not chosen or wish > best):
            best, chosen = wish, media_type
    if not chosen:
        raise RequestError(
            f"accept {accept[:60]!r}: this service answers {_one_of(ANSWERED)}", HTTPStatus.NOT_ACCEPTABLE
        )
    return chosen


def decode_content(body: bytes, coding: str, limit: int) -> bytes:
    """The body without its content coding. Raises RequestError (415; 413 for more than `limit` bytes)."""
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return body
    if coding not in ("gzip", "x-gzip"):
        raise RequestError(f"content encoding {coding[:40]!r}: send gzip or none", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    try:
        stream = zlib.decompressobj(GZIP_WINDOW)
        plain = stream.decompress(body, limit + 1)
    except zlib.error:
        raise RequestError("the body is no gzip, as its content encoding says") from None
    if len(plain) > limit:
        raise too_large(limit)
    if not stream.eof:
        raise RequestError("the gzip body ends too early")
    return plain


def too_large(limit: int) -> RequestError:
    """What a body of more than `limit` bytes is answered with."""
    return RequestError(f"the body is over {limit / 2**20:g} MB: send fewer rows", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


def _quality(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0


def _one_of(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
