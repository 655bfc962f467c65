"""Which addresses can be registered, and what is said of the others."""

import pytest

from services.auth.clients.redirect_uris import URI_MAX, check_redirect_uri

GOOD = [
    "https://app.example/callback",
    "https://app.example",
    "https://app.example:8443/a/b?tenant=1&x=%20",
    "https://192.0.2.1/callback",
    "https://[2001:db8::1]/callback",
    "https://localhost/callback",
    "http://127.0.0.1/callback",
    "http://127.0.0.1:8000/callback",
    "http://[::1]/callback",
    "com.example.app:/callback",
]
WRONG = {
    "fragment": ["https://a.example/#x", "https://a.example/cb#"],
    "wildcard": ["https://*.example/cb", "https://a.example/*", "https://a.example/?x=*"],
    "user or password": ["https://user@a.example/", "https://user:pw@a.example/", "https://a.example@evil.example/"],
    "percent-encoded": [
        "",
        "https://a.example/a b",
        "https://a.example/\n",
        "\thttps://a.example/",
        "https://a.example/\0",
        "https://a.example\\@evil.example/",
        "https://bücher.example/",
        "https://a.example/%zz",
        "https://a.example/<script>",
        "https://a.example/" + "a" * URI_MAX,
    ],
    "must begin with https://": [
        "http://a.example/cb",
        "http://localhost/cb",
        "http://127.0.0.1.evil.example/",
        "http://127.1/",
        "http://2130706433/",
        "http://[::ffff:127.0.0.1]/",
        "http:///cb",
        "ftp://a.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "myapp:/callback",
        "a.example/cb",
        "//a.example/cb",
        "/cb",
    ],
    "one slash": ["com.example.app://callback", "com.example.app:callback", "COM.example.app:/callback"],
    "usual spelling": [
        "HTTPS://a.example/",
        "https://A.example/",
        "https://a.example:/",
        "https://a.example:0443/",
        "https:a.example/",
    ],
    "must name a host": [
        "https:///cb",
        "https://a..example/",
        "https://-a.example/",
        "https://a.example./",
        "https://a.example:0/",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://127.1/",
    ],
    "must be a URL": ["https://[::1/cb", "https://a.example:port/", "https://a.example:99999/", "https://[x]/"],
    "no . or ..": ["https://a.example/b/../c", "https://a.example/.", "https://a.example/%2e%2E/c"],
    "which the answer adds": ["https://a.example/?code=x", "https://a.example/?a=b&state=", "com.example.app:/?iss=x"],
}


@pytest.mark.parametrize("uri", GOOD)
def test_good_ones_are_taken_as_they_are(uri: str) -> None:
    assert check_redirect_uri(uri) == uri


@pytest.mark.parametrize(("what", "uri"), [(what, uri) for what, uris in WRONG.items() for uri in uris], ids=ascii)
def test_wrong_ones_are_refused_with_what_would_be_right(what: str, uri: str) -> None:
    with pytest.raises(ValueError, match=r"^must ") as error:
        check_redirect_uri(uri)

    assert what in str(error.value)
