"""A Ray cluster of several raylets on this machine, in a process of its own:

    python -m tests.vifistore.cluster.raylets CORES[:NAME=VALUE]...

A raylet is started for each argument, with that variable. It prints a JSON line with the address
and the raylets' process ids, and ends when its input does.
"""

import json
import sys
import warnings


def main(cores: list[str]) -> None:
    """Start a cluster, say where it is, and wait."""
    warnings.simplefilter("ignore")
    from ray.cluster_utils import Cluster

    told = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
    quick = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500}
    quick |= {"health_check_timeout_ms": 1500, "health_check_failure_threshold": 3}
    head = {"num_cpus": 0, "_system_config": quick, **told}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = []
    for one in cores:
        number, _, variable = one.partition(":")
        options = {"env_vars": dict([variable.split("=")])} if variable else {}
        nodes.append(
            cluster.add_node(num_cpus=int(number), object_store_memory=80 * 2**20, **options)
        )
    raylets = [process.process.pid for node in nodes for process in node.all_processes["raylet"]]
    print(json.dumps({"address": cluster.address, "raylets": raylets}), flush=True)
    sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1:])
