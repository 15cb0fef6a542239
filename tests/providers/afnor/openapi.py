"""Requests and answers against the published contracts (OpenAPI 3.0): what the schemas ask, and no name they lack."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.parser import BytesParser
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from jsonschema import Draft4Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

ROOT = "urn:contract"


@dataclass(frozen=True)
class Operation:
    method: str
    template: str
    description: Mapping[str, Any]
    values: Mapping[str, str]


class Contract:
    """One annex contract; `base` is what stands before /v1 in the paths of the service under test."""

    def __init__(self, path: Path, base: str) -> None:
        self.document = json.loads(path.read_text(encoding="utf-8"))
        self.base = base
        _mend(self.document["components"])
        self._registry = Registry().with_resource(ROOT, Resource(contents=self.document, specification=DRAFT4))

    def serves(self, url: httpx.URL) -> bool:
        return url.path.startswith(self.base)

    def faults(self, request: httpx.Request, response: httpx.Response) -> list[str]:
        """What of one exchange breaks the contract."""
        operation = self._operation(request)
        if operation is None:
            return [f"{request.method} {request.url.path} is no operation of the contract"]
        place = f"{operation.method} {operation.template}"
        found = [*self._of_request(operation, request), *self._of_response(operation, response)]
        return [f"{place}: {fault}" for fault in found]

    def faults_of(self, schema_name: str, value: Any) -> list[str]:
        return list(self._of_value({"$ref": f"#/components/schemas/{schema_name}"}, value))

    # -- finding the operation

    def _operation(self, request: httpx.Request) -> Operation | None:
        path = request.url.path.removeprefix(self.base)
        for template, methods in sorted(self.document["paths"].items()):
            names = re.findall(r"\{([^}]+)\}", template)
            pattern = re.sub(r"\\\{[^}]+\\\}", "([^/]+)", re.escape(template))
            match = re.fullmatch(pattern, path)
            if match and request.method.lower() in methods:
                description = methods[request.method.lower()]
                return Operation(request.method, template, description, dict(zip(names, match.groups(), strict=True)))
        return None

    def _resolved(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in node:
            found: Any = self.document
            for step in node["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            node = found
        return node

    # -- what was asked

    def _of_request(self, operation: Operation, request: httpx.Request) -> Iterator[str]:
        declared = [self._resolved(each) for each in operation.description.get("parameters", [])]
        known = {each["name"] for each in declared if each["in"] == "query"}
        yield from (f"query {name} is not in the contract" for name in request.url.params if name not in known)
        for each in declared:
            value = self._shown(each, operation, request)
            if value is not None:
                yield from (f"{each['name']}: {fault}" for fault in self._of_value(each["schema"], value))
        yield from self._of_request_body(operation, request)

    def _shown(self, parameter: Mapping[str, Any], operation: Operation, request: httpx.Request) -> str | None:
        name = parameter["name"]
        places = {"query": request.url.params, "header": request.headers, "path": operation.values}
        return places[parameter["in"]].get(name)

    def _of_request_body(self, operation: Operation, request: httpx.Request) -> Iterator[str]:
        body = self._resolved(operation.description.get("requestBody", {})).get("content", {})
        if not body:
            yield from ["a body was sent"] if request.content else []
        elif "multipart/form-data" in body:
            yield from self._of_parts(body["multipart/form-data"], request)
        else:
            yield from self._of_value(body["application/json"]["schema"], json.loads(request.content))

    def _of_parts(self, media: Mapping[str, Any], request: httpx.Request) -> Iterator[str]:
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        parts = {
            str(part.get_param("name", header="content-disposition")): part
            for part in BytesParser().parsebytes(head + request.content).get_payload()  # type: ignore[union-attr]
        }
        wanted = media["schema"]
        yield from (f"part {name} is missing" for name in set(wanted["required"]) - set(parts))
        for name, part in parts.items():
            allowed = media["encoding"][name]["contentType"].split(", ")
            if part.get_content_type() not in allowed:
                yield f"part {name} is {part.get_content_type()}, not {allowed}"
        info = json.loads(parts["flowInfo"].get_payload(decode=True))  # type: ignore[arg-type]
        yield from self._of_value(wanted["properties"]["flowInfo"], info)

    # -- what was answered

    def _of_response(self, operation: Operation, response: httpx.Response) -> Iterator[str]:
        declared = operation.description["responses"].get(str(response.status_code))
        if declared is None:
            yield f"{response.status_code} is no answer of the contract"
            return
        content = self._resolved(declared).get("content", {})
        media_type = response.headers.get("content-type", "").partition(";")[0]
        if not content:
            yield from [f"{response.status_code} has a body"] if response.content else []
        elif media_type not in content:
            yield f"{response.status_code} is {media_type}, not {sorted(content)}"
        elif schema := content[media_type].get("schema"):
            yield from self._of_value(schema, response.json())

    def _of_value(self, schema: Mapping[str, Any], value: Any) -> Iterator[str]:
        rooted = json.loads(json.dumps(schema).replace('"#/', f'"{ROOT}#/'))
        validator = Draft4Validator(rooted, registry=self._registry, format_checker=FORMATS)
        yield from (f"{error.json_path} {error.message}" for error in validator.iter_errors(value))
        yield from self._unknown_names(schema, value, "$")

    def _unknown_names(self, schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
        """The schemas allow any further name; we neither say nor answer one."""
        schema = self._resolved(schema)
        if isinstance(value, list):
            for place, item in enumerate(value):
                yield from self._unknown_names(schema.get("items", {}), item, f"{path}[{place}]")
        if not isinstance(value, dict):
            return
        known = self._properties(schema)
        for name, item in value.items():
            if known and name not in known:
                yield f"{path}.{name} is not in the contract"
            elif name in known:
                yield from self._unknown_names(known[name], item, f"{path}.{name}")

    def _properties(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        schema = self._resolved(schema)
        found = dict(schema.get("properties", {}))
        for part in schema.get("allOf", []):
            found |= self._properties(part)
        return found


def _mend(components: dict[str, Any]) -> None:
    """Where contract 1.3.0 contradicts itself, so that nothing could follow it."""
    schemas, responses = components["schemas"], components["responses"]
    if "ReasonCode" in schemas:  # "one of" a list of words and any word
        schemas["ReasonCode"] = {"type": "string"}
    if "WebhookListResponse" in responses:  # `webhookIds` is required and not described
        listed = responses["WebhookListResponse"]["content"]["application/json"]["schema"]
        listed["properties"]["webhookIds"] = {"type": "array", "items": {"$ref": "#/components/schemas/WebhookId"}}
    if "directoryLineStatus" in schemas:  # "Upcoming" is longer than the 7 characters allowed
        del schemas["directoryLineStatus"]["maxLength"]


FORMATS = FormatChecker(formats=[])


@FORMATS.checks("uuid", raises=ValueError)
def is_uuid(value: Any) -> bool:
    return not isinstance(value, str) or bool(UUID(value))


@FORMATS.checks("date-time", raises=ValueError)
def is_date_time(value: Any) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@FORMATS.checks("uri")
def is_uri(value: Any) -> bool:
    return not isinstance(value, str) or httpx.URL(value).is_absolute_url
