import email

from hypothesis import example, given
from hypothesis import strategies as st

from cloudherd.rendering.multipart import multipart

bodies = st.lists(
    st.tuples(
        st.sampled_from(["text/cloud-config", "text/x-shellscript", "text/cloud-boothook", "application/octet-stream"]),
        st.text(st.characters(exclude_categories=["Cs"])) | st.text("From:-= \n\t.a"),
    ),
    min_size=2,
    max_size=4,
)


@given(bodies)
@example([("text/plain", ""), ("text/plain", "\n"), ("text/plain", "x"), ("text/plain", "x\n\n")])
@example([("text/plain", "From me\n.\n--\n"), ("text/plain", "a\r\nb\rc\n"), ("text/plain", "é" * 100)])
@example([("text/plain", "a" * 5000), ("text/plain", "MIME-Version: 1.0\n\nContent-Type: x\n")])
def test_a_mail_parser_gives_every_part_back_byte_for_byte(parts: list[tuple[str, str]]) -> None:
    data = multipart([(content_type, body.encode()) for content_type, body in parts])
    for message in (
        email.message_from_bytes(data),
        email.message_from_string(data.decode()),
    ):  # cloud-init does the latter
        assert not message.defects
        found = [(part.get_content_type(), part.get_payload(decode=True)) for part in message.walk()][1:]
        assert found == [(content_type, body.encode()) for content_type, body in parts]


def test_the_bytes_are_these_and_stay_these() -> None:
    """They are hashed into revisions: another form would roll every VM."""
    data = multipart(
        [("text/cloud-config", b"#cloud-config\n"), ("text/x-shellscript", "#!/bin/sh\necho é\n".encode())]
    )
    expected = (
        'Content-Type: multipart/mixed; boundary="cloudherd-BOUNDARY"\n'
        "MIME-Version: 1.0\n"
        "\n"
        "--cloudherd-BOUNDARY\n"
        'Content-Type: text/cloud-config; charset="utf-8"\n'
        "MIME-Version: 1.0\n"
        "Content-Transfer-Encoding: 7bit\n"
        "\n"
        "#cloud-config\n"
        "\n"
        "--cloudherd-BOUNDARY\n"
        'Content-Type: text/x-shellscript; charset="utf-8"\n'
        "MIME-Version: 1.0\n"
        "Content-Transfer-Encoding: base64\n"
        "\n"
        "IyEvYmluL3NoCmVjaG8gw6kK\n"
        "--cloudherd-BOUNDARY--\n"
    ).replace("BOUNDARY", "83c8969ab24075603285b2ae34160cc2")
    assert data.decode() == expected


def test_other_contents_have_another_boundary() -> None:
    one, other = (multipart([("text/plain", body), ("text/plain", b"")]) for body in (b"a", b"b"))
    assert one.splitlines()[0] != other.splitlines()[0]
