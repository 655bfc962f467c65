"""The import contract of design for every service, without naming the services."""

import grimp
from importlinter import ContractCheck
from importlinter.contracts.layers import LayersContract
from importlinter.domain.imports import ModuleExpression

ROOT = "services"
COMMON = "services.common"


class ServiceLayersContract(LayersContract):
    """A layers contract whose containers are all service folders: a new one is held to it from its first file."""

    type_name = "service_layers"

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        """Fill in the containers, all services that are one folder of files, and check as usual."""
        services = sorted(graph.find_children(ROOT) - {COMMON})
        whole = [name for name in services if not _nouns(graph, name)]  # one of nouns has contracts of its own
        vars(self)["containers"] = [ModuleExpression(name) for name in whole]  # declared on the class as a field
        return super().check(graph, verbose)


def _nouns(graph: grimp.ImportGraph, service: str) -> list[str]:
    """The folders of a service, without that of its migrations."""
    children = graph.find_children(service) - {f"{service}.migrations"}
    return [child for child in children if graph.find_children(child)]
