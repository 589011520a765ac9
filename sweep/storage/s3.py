"""The acts of `sweep.storage.disk` on an S3-compatible store: the only file that imports s3fs.

An object appears whole, by one PUT of bytes that were built before (s3fs sends more than 100 MB
in parts, which also become one object, or none). There is no rename and no append. That one
writer does not undo another's work rests on conditional PUTs: `If-None-Match: *` to create,
`If-Match: ETag` to replace. A PUT whose answer got lost is sent again, and what the first try
left there is then known by its bytes.

s3fs, because the usual AWS environment and profiles apply to it, and because the UPath over it
is what a trial's own code expects of a folder: `context.folder / "x"` can be written. Listings
are never cached: another machine may have written meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import fsspec.asyn
import s3fs  # noqa: F401  # here rather than at the first act, so that it is missed at once
from aiohttp import ClientError
from botocore.exceptions import BotoCoreError, IncompleteReadError
from upath import UPath

from sweep.core.errors import StoreError
from sweep.storage.disk import Seen

CONFLICT, FAILED = 409, 412
"""HTTP's words for a conditional PUT that met another one, and for one whose condition fails."""

TRIES = 5


def place(text: str | UPath) -> UPath:
    """Return the place of an `s3://bucket/...` address, with settings of ours.

    AWS's environment variables and profiles say who we are and where the store is.
    """
    given = dict(text.storage_options) if isinstance(text, UPath) else {}
    config = {
        "connect_timeout": 10,
        "read_timeout": 60,
        "retries": {
            "mode": "standard",
            "total_max_attempts": int(os.environ.get("AWS_MAX_ATTEMPTS", TRIES)),
        },
    }
    given = {"config_kwargs": config, **given, "use_listings_cache": False}
    found: UPath = UPath(str(text).rstrip("/"), **given)
    found.fs.retries = 1  # besides botocore's own
    return found


def write(place: UPath, data: bytes) -> None:
    """Put an object."""
    with _said(place):
        place.fs.pipe_file(place.path, data)


def create(place: UPath, data: bytes) -> bool:
    """Put an object unless another is there; one of the same bytes is our own, from a lost try."""
    for attempt in range(TRIES):
        try:
            _put(place, data, IfNoneMatch="*")
            return True
        except OSError as error:
            if _status(error) == FAILED:
                return read(place) == data
            if _status(error) != CONFLICT or attempt == TRIES - 1:
                raise
            time.sleep(0.1 * 2**attempt)
    raise AssertionError("not reached")


def swap(place: UPath, data: bytes, tag: str) -> str | None:
    """Put an object in the place of the version with that tag; return its own tag, or None."""
    try:
        return _put(place, data, IfMatch=tag)
    except OSError as error:
        if _status(error) not in (FAILED, CONFLICT, 404):
            raise
    now = look(place)
    return now.tag if now is not None and now.data == data else None


def append(place: UPath, data: bytes, *, at: int | None = None) -> None:
    """Put an object again with data behind it, and again if another writer came between."""
    for _ in range(TRIES):
        before = look(place)
        held = before.data if before else b""
        if at is not None and len(held) != at:
            raise OSError(f"it has {len(held)} bytes where {at} were left, so somebody else writes")
        whole = held + data
        if swap(place, whole, before.tag) if before else create(place, whole):
            return
    raise OSError("it changes all the time, so somebody else writes it")


def cut(place: UPath, size: int) -> None:
    """Put an object's first bytes alone."""
    write(place, read(place)[:size])


def remove(place: UPath) -> None:
    """Remove an object if it is there."""
    bucket, key = _names(place)
    with _said(place):
        place.fs.call_s3("delete_object", Bucket=bucket, Key=key)


def read(place: UPath) -> bytes:
    """Return an object's bytes; raise `FileNotFoundError` where there is none."""
    return _get(place)[0]


def look(place: UPath) -> Seen | None:
    """Return an object with its tag and its age, None where there is none."""
    try:
        data, answer = _get(place)
    except FileNotFoundError:
        return None
    now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    age = (now - answer["LastModified"]).total_seconds()
    return Seen(data=data, tag=answer["ETag"], age_seconds=max(0.0, age))


def exists(place: UPath) -> bool:
    """Return whether there is an object."""
    bucket, key = _names(place)
    try:
        with _said(place):
            place.fs.call_s3("head_object", Bucket=bucket, Key=key)
    except FileNotFoundError:
        return False
    return True


def names(folder: UPath, *, after: str = "", most: int | None = None) -> list[str]:
    """Return the names under a folder in order, those of folders among them.

    Args:
        folder: where to look; there need be none.
        after: leave out what does not come behind this name.
        most: leave out more than so many.
    """
    bucket, key = _names(folder)
    prefix = f"{key}/" if key else ""
    found: list[str] = []
    token: dict[str, str] = {"StartAfter": prefix + after} if after else {}
    more = {} if most is None else {"MaxKeys": most}
    while True:
        with _said(folder):
            page = folder.fs.call_s3(
                "list_objects_v2", Bucket=bucket, Prefix=prefix, Delimiter="/", **token, **more
            )
        found += [one["Key"].removeprefix(prefix) for one in page.get("Contents", ())]
        below = page.get("CommonPrefixes", ())
        found += [one["Prefix"].removeprefix(prefix).rstrip("/") for one in below]
        if not page.get("IsTruncated") or (most is not None and len(found) >= most):
            return sorted(name for name in found if name > after)
        token = {"ContinuationToken": page["NextContinuationToken"]}


def check(folder: UPath) -> None:
    """Try to write into a folder."""
    scratch = _scratch(folder)
    write(scratch, b"")
    remove(scratch)


def conditional(folder: UPath) -> bool:
    """Return whether the store keeps the conditions of a PUT, tried on an object of its own."""
    scratch = _scratch(folder)
    try:
        write(scratch, b"first")
        try:
            if create(scratch, b"second"):
                return False
            return swap(scratch, b"third", '"0123456789abcdef0123456789abcdef"') is None
        except OSError:  # it knows no such header
            return False
    finally:
        with contextlib.suppress(OSError):
            remove(scratch)


def _put(place: UPath, data: bytes, **condition: str) -> str:
    bucket, key = _names(place)
    with _said(place):
        answer = place.fs.call_s3("put_object", Bucket=bucket, Key=key, Body=data, **condition)
    tag: str = answer["ETag"]
    return tag


def _get(place: UPath) -> tuple[bytes, Any]:
    """Return an object's bytes and the rest of the answer: one request, where s3fs makes two."""
    bucket, key = _names(place)

    async def get() -> tuple[bytes, Any]:
        answer = await place.fs._call_s3("get_object", Bucket=bucket, Key=key)
        async with answer["Body"] as body:
            return await body.read(), answer

    for attempt in range(TRIES):
        try:
            with _said(place):
                found: tuple[bytes, Any] = fsspec.asyn.sync(place.fs.loop, get)
            return found
        except StoreError as error:  # botocore asks again, but not once an answer has begun
            broken = isinstance(error.__cause__, ClientError | IncompleteReadError)
            if not broken or attempt == TRIES - 1:
                raise
    raise AssertionError("not reached")


def _names(place: UPath) -> tuple[str, str]:
    bucket, _, key = place.path.partition("/")
    return bucket, key.rstrip("/")


def _scratch(folder: UPath) -> UPath:
    return folder / f".check.{secrets.token_hex(6)}.tmp"


def _status(error: BaseException) -> int | None:
    """Return the HTTP status behind an error, None where no server answered."""
    if isinstance(answer := getattr(error, "response", None), dict):
        status: int | None = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return status
    return _status(error.__cause__) if error.__cause__ else None


@contextlib.contextmanager
def _said(place: UPath) -> Iterator[None]:
    """Turn whatever goes wrong on the way to the store into one kind of error."""
    try:
        yield
    except (BotoCoreError, ClientError, OSError) as error:
        if isinstance(error, FileNotFoundError) and "bucket" not in str(error):
            raise
        raise StoreError(place, getattr(error, "strerror", None) or str(error)) from error
