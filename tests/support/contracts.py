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
        """Fill in the containers and check as usual."""
        services = sorted(graph.find_children(ROOT) - {COMMON})
        whole = [
            name for name in services if f"{name}.__main__" in graph.modules
        ]  # what cannot be started is not one yet
        vars(self)["containers"] = [ModuleExpression(name) for name in whole]  # declared on the class as a field
        return super().check(graph, verbose)
