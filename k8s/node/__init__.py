"""A one-node upstream Kubernetes on this machine, without Docker.

What the rest of the project uses: `cluster.up`, `cluster.down`, `cluster.kubeconfig`, `cluster.registry`,
`tools.path`, `images.build`, `images.push`, `images.exists`, `images.ensure_python`;
all of them raise `errors.NodeError`, whose text is one sentence for the user.
"""
