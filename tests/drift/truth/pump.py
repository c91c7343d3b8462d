"""The object that is declared and meddled with, and its type: small, with each kind of field that matters here."""

from __future__ import annotations

from copy import deepcopy
from typing import Any


Object = dict[str, Any]

GROUP = "drift.example.com"
KIND = "Pump"
API_VERSION = f"{GROUP}/v1"
NAME = "main"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

_TEXT = {"type": "string"}
_NUMBER = {"type": "integer"}
_QUANTITY = {
    "anyOf": [_NUMBER, _TEXT],
    "x-kubernetes-int-or-string": True,
    "pattern": r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE])?$",
}
_SPEC = {
    "color": _TEXT,
    "size": _NUMBER,
    "replicas": _NUMBER,
    "note": _TEXT,
    "mode": {**_TEXT, "default": "auto"},
    "limits": {"type": "object", "properties": {"memory": _QUANTITY, "cpu": _QUANTITY}},
    "ports": {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["port", "protocol"],
        "items": {
            "type": "object",
            "required": ["port"],
            "properties": {"port": _NUMBER, "protocol": {**_TEXT, "default": "TCP"}, "name": _TEXT},
        },
    },
    "args": {"type": "array", "x-kubernetes-list-type": "atomic", "items": _TEXT},
    "zones": {"type": "array", "x-kubernetes-list-type": "set", "items": _TEXT},
}
_STATUS = {
    "observedGeneration": _NUMBER,
    "replicas": _NUMBER,
    "conditions": {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status"],
            "properties": {
                **dict.fromkeys(("type", "status", "reason", "message", "lastTransitionTime"), _TEXT),
                "observedGeneration": _NUMBER,
            },
        },
    },
}
CRD: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"pumps.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"kind": KIND, "plural": "pumps", "singular": "pump"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
                },
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": _SPEC},
                            "status": {"type": "object", "properties": _STATUS},
                        },
                    }
                },
            }
        ],
    },
}

# What an admission webhook would do, done by the API server itself (from 1.36 on): wherever it holds, every write is
# given this size and this note.
ADMITTED = "-admission-"
ADMISSION: Object = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingAdmissionPolicy",
            "metadata": {"name": "pumps"},
            "spec": {
                "matchConstraints": {
                    "resourceRules": [
                        {
                            "apiGroups": [GROUP],
                            "apiVersions": ["v1"],
                            "operations": ["CREATE", "UPDATE"],
                            "resources": ["pumps"],
                        }
                    ]
                },
                "matchConditions": [
                    {"name": "there", "expression": f"object.metadata.namespace.contains('{ADMITTED}')"}
                ],
                "failurePolicy": "Fail",
                "reinvocationPolicy": "Never",
                "mutations": [
                    {
                        "patchType": "ApplyConfiguration",
                        "applyConfiguration": {"expression": "Object{spec: Object.spec{size: 30, note: 'admitted'}}"},
                    }
                ],
            },
        },
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": {"name": "pumps"},
            "spec": {"policyName": "pumps"},
        },
    ],
}

# `mode` is not declared, and the protocol of a port neither: the API server fills them in.
_DECLARED: Object = {
    "apiVersion": API_VERSION,
    "kind": KIND,
    "metadata": {"name": NAME, "labels": {"team": "blue"}, "annotations": {"example.com/contact": "ops"}},
    "spec": {
        "color": "red",
        "size": 3,
        "replicas": 2,
        "limits": {"memory": "1Gi", "cpu": "1000m"},
        "ports": [{"port": 80, "name": "http"}, {"port": 443, "name": "https"}],
        "args": ["--fast", "--verbose"],
        "zones": ["a", "b"],
    },
}


def declared(**spec: Any) -> Object:
    """What is declared, with other values in the spec; None leaves a field out."""
    whole = deepcopy(_DECLARED)
    whole["spec"] = {name: value for name, value in {**whole["spec"], **spec}.items() if value is not None}
    return whole


def path(namespace: str, subresource: str = "") -> str:
    """The URL path of the object below the API server's address."""
    return f"/apis/{API_VERSION}/namespaces/{namespace}/pumps/{NAME}" + (f"/{subresource}" if subresource else "")
