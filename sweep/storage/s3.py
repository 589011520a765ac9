"""A study's files on an S3-compatible store: the only file that imports boto3 and upath.

An object appears whole, by one PUT or one multipart upload. There is no rename and no append.
Two writers do not overwrite each other because PUTs are conditional: `If-None-Match: *` to create,
`If-Match: ETag` to replace. A PUT whose answer was lost is sent again, and the object of the
first try is then recognised by its bytes.

Two libraries: boto3 for our own acts, because it has conditional PUTs, the server's clock (the
`Date` header), retries and AWS's profiles in its public interface; universal-pathlib over s3fs
for `context.folder`, which a user's own code reads and writes like a path.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sweep.core.errors import StoreError, UserError
from sweep.storage.base import Data, ObjectVersion, is_scratch, scratch_name

if TYPE_CHECKING:
    from upath import UPath

CONFLICT, FAILED = 409, 412
"""HTTP status of a PUT: another conditional PUT is under way; the condition fails."""

TRIES = 5
PART_BYTES = 100 * 2**20
"""Larger objects are sent in parts of this size: one PUT takes at most 5 GB."""

CONNECTIONS = 32


def path(address: str, options: Mapping[str, Any]) -> PurePosixPath:
    """Return BUCKET/KEY of an `s3://` address.

    Args:
        address: also with one slash, which is what `pathlib.Path` makes of two.
        options: the storage options of a `UPath`.

    Raises:
        UserError: the options are not those of `context.folder`; we would ignore them.
    """
    if others := set(options) - set(_s3fs_options()):
        raise UserError(
            f"{address} comes with the options {', '.join(sorted(others))}, which sweep does not "
            "use. Set AWS_PROFILE, AWS_ENDPOINT_URL and the like, and give the address as text."
        )
    return PurePosixPath(address.removeprefix("s3:").strip("/"))


@dataclass(frozen=True)
class S3:
    """The object store that AWS's environment variables and profiles name.

    Implements `sweep.storage.base.ConditionalStorage`. Settings are read at the first act.
    """

    poll_seconds = 5.0

    @property
    def conditional(self) -> S3:
        return self

    def __reduce__(self) -> tuple[type[S3], tuple[()]]:
        return S3, ()  # without its client, which belongs to this process

    def address(self, path: PurePath) -> str:
        return f"s3://{path}"

    def native(self, path: PurePath) -> UPath:
        from upath import UPath  # only here: s3fs takes half a second to import

        folder: UPath = UPath(self.address(path), **_s3fs_options())
        return folder

    def absolute(self, path: PurePath) -> PurePath:
        return path

    def read(self, path: PurePath) -> bytes:
        return self._get(path).data

    def open_read(self, path: PurePath) -> io.BytesIO:
        return io.BytesIO(self.read(path))

    def view(self, path: PurePath) -> memoryview:
        return memoryview(self.read(path))

    def look(self, path: PurePath) -> ObjectVersion | None:
        try:
            return self._get(path)
        except FileNotFoundError:
            return None

    def exists(self, path: PurePath) -> bool:
        try:
            self._request("head_object", path)
        except FileNotFoundError:
            return False
        return True

    def is_folder(self, path: PurePath) -> bool:
        return bool(self.names(path, most=1))

    def names(self, folder: PurePath, *, after: str = "", most: int | None = None) -> list[str]:
        bucket, key = _split(folder)
        prefix = f"{key}/" if key else ""
        names: list[str] = []
        which: dict[str, Any] = {"StartAfter": prefix + after} if after else {}
        if most is not None:
            which["MaxKeys"] = most
        while True:
            page = self._call(
                "list_objects_v2", folder, Bucket=bucket, Prefix=prefix, Delimiter="/", **which
            )
            keys = [entry["Key"] for entry in page.get("Contents", ())]
            keys += [entry["Prefix"].rstrip("/") for entry in page.get("CommonPrefixes", ())]
            found = (key.removeprefix(prefix) for key in keys)
            names += [name for name in found if name > after and not is_scratch(name)]
            if not page.get("IsTruncated") or (most is not None and len(names) >= most):
                return sorted(names)[:most]
            which.pop("StartAfter", None)
            which["ContinuationToken"] = page["NextContinuationToken"]

    def append(self, path: PurePath, data: Data, *, at: int | None = None) -> None:
        """Put the object again with data at its end; again, if another writer came between."""
        for _ in range(TRIES):
            before = self.look(path)
            held = before.data if before else b""
            if at is not None and len(held) != at:
                raise OSError(
                    f"it has {len(held)} bytes instead of {at}, so another process writes to it"
                )
            whole = held + data
            if self.replace(path, whole, before.etag) if before else self.create(path, whole):
                return
        raise OSError("it changes all the time, so another process writes to it")

    def write(self, path: PurePath, data: Data) -> None:
        if len(data) < PART_BYTES:
            self._put(path, data)
            return
        bucket, key = _split(path)
        parts = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES)
        with _store_errors(self.address(path)):
            self._client.upload_fileobj(io.BytesIO(data), bucket, key, Config=parts)

    def create(self, path: PurePath, data: Data) -> bool:
        for attempt in range(TRIES):
            try:
                self._put(path, data, IfNoneMatch="*")
                return True
            except StoreError as error:
                if _status(error) == FAILED:
                    return self.read(path) == data
                if _status(error) != CONFLICT or attempt == TRIES - 1:
                    raise
                time.sleep(0.1 * 2**attempt)
        raise AssertionError("not reached")

    def replace(self, path: PurePath, data: Data, etag: str) -> str | None:
        try:
            return self._put(path, data, IfMatch=etag)
        except FileNotFoundError:
            return None
        except StoreError as error:
            if _status(error) not in (FAILED, CONFLICT):
                raise
        now = self.look(path)
        return now.etag if now is not None and now.data == data else None

    def cut(self, path: PurePath, size: int) -> None:
        self.write(path, self.read(path)[:size])

    def remove(self, path: PurePath) -> None:
        self._request("delete_object", path)

    def make_folder(self, folder: PurePath, *, under: PurePath | None = None) -> None:
        pass

    def tidy(self, folder: PurePath) -> None:
        pass

    def lock(self, path: PurePath, *, seconds: float) -> contextlib.nullcontext[None]:
        return contextlib.nullcontext()

    def keeps_drivers_apart(self, folder: PurePath) -> bool:
        """Try on a scratch object whether the store honours the conditions of a PUT."""
        scratch = folder / scratch_name("check")
        try:
            self.write(scratch, b"first")
            try:
                if self.create(scratch, b"second"):
                    return False
                return self.replace(scratch, b"third", '"0123456789abcdef0123456789abcdef"') is None
            except OSError:  # it does not know the header
                return False
        finally:
            with contextlib.suppress(OSError):
                self.remove(scratch)

    def link_target(self, path: PurePath) -> None:
        return None

    def links(self, folder: PurePath, *, itself: bool = False) -> list[tuple[str, str]]:
        return []

    def open_append(self, path: PurePath) -> None:
        return None

    def leftovers(self, folder: PurePath) -> list[tuple[str, int]]:
        return []

    def free_bytes(self, folder: PurePath) -> None:
        return None

    @cached_property
    def _client(self) -> Any:
        config = Config(**_botocore_options(), max_pool_connections=CONNECTIONS)
        return boto3.session.Session().client("s3", config=config)

    def _put(self, path: PurePath, data: Data, **condition: str) -> str:
        """Put an object; return its ETag."""
        etag: str = self._request("put_object", path, Body=bytes(data), **condition)["ETag"]
        return etag

    def _get(self, path: PurePath) -> ObjectVersion:
        for attempt in range(TRIES):
            answer = self._request("get_object", path)
            try:
                with _store_errors(self.address(path)), contextlib.closing(answer["Body"]) as body:
                    data = body.read()
                break
            except StoreError:  # botocore does not try again once an answer has begun
                if attempt == TRIES - 1:
                    raise
        now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        age_seconds = (now - answer["LastModified"]).total_seconds()
        return ObjectVersion(data=data, etag=answer["ETag"], age_seconds=max(0.0, age_seconds))

    def _request(self, name: str, path: PurePath, **fields: Any) -> Any:
        """Call an operation on one object."""
        bucket, key = _split(path)
        return self._call(name, path, Bucket=bucket, Key=key, **fields)

    def _call(self, name: str, path: PurePath, **fields: Any) -> Any:
        with _store_errors(self.address(path)):
            return getattr(self._client, name)(**fields)


def _botocore_options() -> dict[str, Any]:
    tries = int(os.environ.get("AWS_MAX_ATTEMPTS", TRIES))
    return {
        "connect_timeout": 10,
        "read_timeout": 60,
        "retries": {"mode": "standard", "total_max_attempts": tries},
    }


def _s3fs_options() -> dict[str, Any]:
    """Return the options of `context.folder`; another machine may write, so nothing is cached."""
    return {"config_kwargs": _botocore_options(), "use_listings_cache": False}


def _split(path: PurePath) -> tuple[str, str]:
    """Return the bucket and the key."""
    bucket, _, key = str(path).partition("/")
    return bucket, key


def _status(error: StoreError) -> int | None:
    """Return the HTTP status behind an error, None if no server answered."""
    cause = error.__cause__
    if not isinstance(cause, ClientError):
        return None
    status: int | None = cause.response["ResponseMetadata"].get("HTTPStatusCode")
    return status


@contextlib.contextmanager
def _store_errors(address: str) -> Iterator[None]:
    """Turn boto3's errors into `FileNotFoundError` for a missing object, else `StoreError`."""
    try:
        yield
    except ClientError as error:
        answer = error.response.get("Error", {})
        if answer.get("Code") in ("NoSuchKey", "404"):
            raise FileNotFoundError(errno.ENOENT, "No such object", address) from error
        raise StoreError(address, answer.get("Message") or str(error)) from error
    except (BotoCoreError, Boto3Error, OSError) as error:
        raise StoreError(address, str(error)) from error
