"""Requests to an S3-compatible storage: their signature, and what is said of settings that cannot be used."""

from datetime import UTC, datetime

import pytest

from kgents_cli.object_storage import (
    NOTHING,
    PART_BYTES,
    PARTS_MAX,
    Place,
    Storage,
    parts_of,
    place_of,
    query_of,
    signed,
)
from kgents_shared.bus.config import Secret
from kgents_shared.contract.errors import KgentsError
from kgents_shared.contract.section import InvalidSectionError
from kgents_shared.runtime.sections import BackupConfig


def test_a_request_is_signed_as_in_the_example_of_the_specification() -> None:
    """Amazon's reference of S3, "Authenticating Requests (AWS Signature Version 4)": GET Object."""
    headers = {"host": "examplebucket.s3.amazonaws.com", "range": "bytes=0-9", "x-amz-content-sha256": NOTHING}
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    found = signed(
        "GET", "/test.txt", "", headers, "us-east-1", "AKIAIOSFODNN7EXAMPLE", secret, datetime(2013, 5, 24, tzinfo=UTC)
    )
    assert found["x-amz-date"] == "20130524T000000Z"
    assert found["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_a_request_with_a_query_is_signed_as_in_the_example_of_the_specification() -> None:
    """The same page: GET Bucket (List Objects)."""
    headers = {"host": "examplebucket.s3.amazonaws.com", "x-amz-content-sha256": NOTHING}
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    query = query_of({"prefix": "J", "max-keys": "2"})
    now = datetime(2013, 5, 24, tzinfo=UTC)
    found = signed("GET", "/", query, headers, "us-east-1", "AKIAIOSFODNN7EXAMPLE", secret, now)
    signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    assert found["authorization"].endswith(f"Signature={signature}")
    assert query_of({"uploads": ""}) == "uploads="
    assert query_of({"uploadId": "a/b+c=="}) == "uploadId=a%2Fb%2Bc%3D%3D"


@pytest.mark.parametrize("size", [PART_BYTES + 1, 5 * 1024**3, 5 * 1024**4, PARTS_MAX * PART_BYTES + 1])
def test_parts_make_up_the_file_and_are_as_many_and_as_large_as_a_storage_takes(size: int) -> None:
    parts = list(parts_of(size))
    assert len(parts) <= PARTS_MAX
    assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
    assert parts[-1].stop == size
    assert all(5 * 1024**2 <= len(part) <= 5 * 1024**3 for part in parts[:-1])


def test_a_place_is_a_bucket_and_a_folder_in_it() -> None:
    assert place_of("s3://backups/kgents/2026-11-29/") == Place("backups", "kgents/2026-11-29")
    for text in ("s3://", "s3://backups", "s3://backups/", "s3:///kgents"):
        with pytest.raises(ValueError, match="expected s3://BUCKET/PREFIX"):
            place_of(text)


def test_a_storage_without_endpoint_or_keys_is_refused_and_says_what_is_missing() -> None:
    place, key = Place("backups", "kgents"), Secret("key")
    for config in (BackupConfig(s3_access_key=key, s3_secret_key=key), BackupConfig(s3_endpoint="https://s3.test")):
        with pytest.raises(KgentsError, match="KGENTS__BACKUP__S3_SECRET_KEY_FILE"):
            Storage(place, config)


def test_half_a_key_and_an_address_that_is_none_are_faults_of_the_settings() -> None:
    with pytest.raises(InvalidSectionError, match="a value beside s3_access_key"):
        BackupConfig(s3_access_key=Secret("key"))
    with pytest.raises(InvalidSectionError, match="s3_endpoint"):
        BackupConfig(s3_endpoint="s3.test")
