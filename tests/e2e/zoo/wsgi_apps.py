"""Flask and Django with the usual mistakes of flask-cors and django-cors-headers."""

from __future__ import annotations

from tests.e2e.zoo.asgi_apps import OUTERMOST, SERVE
from tests.e2e.zoo.set_up import LOGGED_IN, Call, Change, Insert, SetUp, codes

FLASK_CORS = """
app = flask_app()
CORS(
    app,
    resources={r"/v1/*": {"origins": ["https://ui.example"]}},
    allow_headers=["content-type", "model-api-key"],
    max_age=600,
)
"""
_DJANGO = """
MIDDLEWARE = [
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.common.CommonMiddleware",
]
CORS_ALLOWED_ORIGINS = ["https://ui.example"]
CORS_ALLOW_HEADERS = (*default_headers, "model-api-key")
app = django_app(globals())
"""


def _served(lines: str) -> str:
    """The app with a place for a line around all of it; for WSGI, MeshCORS is another one."""
    return f"MeshCORS = meshcors.wsgi.MeshCORS\n{lines}{SERVE}"


WSGI = (
    SetUp(
        name="flask-cors: resources that miss the path",
        config=_served(Change("/v1/*", "/api/*").apply(FLASK_CORS)),
        layer="app",
        codes=codes("preflight_unanswered"),
        fix=OUTERMOST,
    ),
    SetUp(
        name="flask-cors: every origin, as it is without options",
        config="app = flask_app()\nCORS(app)",
        verdict="works",
        layer="flask_cors",
        codes=codes("stranger_allowed"),
        fix=Change(
            "CORS(app)",
            'CORS(app, origins=["https://ui.example"], methods=["POST"],'
            ' allow_headers=["content-type", "model-api-key"])',
        ),
    ),
    SetUp(
        name="flask-cors: every origin with credentials",
        config=Change(
            'resources={r"/v1/*": {"origins": ["https://ui.example"]}}', "supports_credentials=True"
        ).apply(FLASK_CORS),
        call=LOGGED_IN,
        verdict="works",
        layer="flask_cors",
        codes=codes("stranger_echoed_with_credentials"),
        fix=Insert('origins=["https://ui.example"]', before="supports_credentials", end=","),
    ),
    SetUp(
        name="flask-cors: an origin that is a regex, which matches the beginning",
        config=Change(
            'resources={r"/v1/*": {"origins": ["https://ui.example"]}}',
            r'origins=r"https://ui\.example"',
        ).apply(FLASK_CORS),
        verdict="works",
        layer="flask_cors",
        codes=codes("look_alike_allowed"),
        fix=Change(r'origins=r"https://ui\.example"', 'origins=["https://ui.example"]'),
    ),
    SetUp(
        name="flask-cors: allow_headers without the key",
        config=Change(', "model-api-key"', "").apply(FLASK_CORS),
        layer="flask_cors",
        codes=codes("header_not_allowed"),
        fix=Change(
            'allow_headers=["content-type"]', 'allow_headers=["content-type", "model-api-key"]'
        ),
    ),
    SetUp(
        name="django-cors-headers: the origin is missing",
        config=Change('["https://ui.example"]', '["https://other.example"]').apply(_DJANGO),
        layer="django_cors_headers",
        codes=codes("origin_not_allowed"),
        fix=Change('["https://other.example"]', '["https://ui.example"]'),
    ),
    SetUp(
        name="django-cors-headers: the key is missing",
        config=Change('CORS_ALLOW_HEADERS = (*default_headers, "model-api-key")\n', "").apply(
            _DJANGO
        ),
        layer="django_cors_headers",
        codes=codes("header_not_allowed"),
        fix=Insert(
            'CORS_ALLOW_HEADERS = ["accept", "authorization", "content-type", "user-agent",'
            ' "x-csrftoken", "x-requested-with", "model-api-key"]',
            before="CORS_ALLOWED_ORIGINS",
        ),
    ),
    SetUp(
        name="django-cors-headers: every origin with credentials",
        config=Change(
            'CORS_ALLOWED_ORIGINS = ["https://ui.example"]',
            "CORS_ALLOW_ALL_ORIGINS = True\nCORS_ALLOW_CREDENTIALS = True",
        ).apply(_DJANGO),
        call=LOGGED_IN,
        verdict="works",
        layer="django_cors_headers",
        codes=codes("stranger_echoed_with_credentials"),
        fix=Change(
            "CORS_ALLOW_ALL_ORIGINS = True", 'CORS_ALLOWED_ORIGINS = ["https://ui.example"]'
        ),
    ),
    SetUp(
        name="django-cors-headers: the check for CSRF behind a green preflight",
        config=Change(
            '    "django.middleware.common.CommonMiddleware",\n',
            '    "django.middleware.csrf.CsrfViewMiddleware",\n',
        ).apply(_DJANGO),
        layer="guard",
        codes=codes("guard_refuses_origin"),
    ),
    SetUp(
        name="django-cors-headers after CommonMiddleware, which adds a slash",
        config=_served(
            Change(
                """    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.common.CommonMiddleware",
""",
                """    "django.middleware.common.CommonMiddleware",
    "corsheaders.middleware.CorsMiddleware",
""",
            ).apply(_DJANGO)
        ),
        call=Call(path="/v1/slashed"),
        layer="app",
        codes=codes("slash_redirect"),
        fix=OUTERMOST,
    ),
    SetUp(
        name="MeshCORS in Flask",
        config="""
app = flask_app()
meshcors.flask.init_app(
    app,
    Policy(
        allow_origins=["https://ui.example"],
        max_age=600,
        key=HeaderKey("model-api-key", ["xyz"]),
    ),
)
""",
        verdict="works",
        layer="meshcors",
    ),
    SetUp(name="flask-cors well set", config=FLASK_CORS, verdict="works", layer="flask_cors"),
    SetUp(
        name="django-cors-headers well set",
        config=_DJANGO,
        verdict="works",
        layer="django_cors_headers",
    ),
)
