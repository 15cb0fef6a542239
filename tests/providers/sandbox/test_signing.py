import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from providers.sandbox import signing

# The A-Cube specification's own vector: private key 01..20, created 1790000000.
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
EVENT = {
    "eventId": "01990000-0000-7000-8000-00000000e001",
    "eventType": "invoice.status",
    "status": "205",
    "statusLabel": "Approved",
    "invoiceUuid": "01990000-0000-7000-8000-00000000a001",
    "direction": "OUTBOUND",
}


def test_signature_of_the_specification_is_reproduced():
    body = json.dumps(EVENT, separators=(",", ":")).encode()
    target = "https://hooks.example.test/hooks/acube/c1"

    headers = signing.sign(key=KEY, target=target, body=body, created=1790000000, key_id="acube", label="pyhms")

    assert headers == {
        "date": "Mon, 21 Sep 2026 14:13:20 GMT",
        "content-digest": "sha-256=:gfsw+RYfwXSZFwmoZz6DqT7o4R44OF/fkJynyfmXpA0=:",
        "signature-input": (
            'pyhms=("@method" "@authority" "@target-uri" "date" "content-digest")'
            ';created=1790000000;keyid="acube";alg="ed25519"'
        ),
        "signature": (
            "pyhms=:CziBe3OCJcRtILX8zW9aQc4j+VmYCjcjNGorXZ6U3KdwVZLXHwOgYL1hsevpKLq+ESCQPZ0Zi8JzMA5W0qddCA==:"
        ),
    }


def test_public_key_of_the_specification_is_reproduced():
    assert signing.public_pem(KEY).splitlines()[1] == "MCowBQYDK2VwAyEAebVWLo/mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmQ="


def test_authority_drops_the_default_port_and_keeps_another():
    targets = ("https://Hooks.Example.test:443/a", "http://127.0.0.1:8000/a", "http://localhost:80/")
    assert [signing.authority(target) for target in targets] == ["hooks.example.test", "127.0.0.1:8000", "localhost"]
