module slipway/k8s/node/keda

go 1.26.0

// for its custom resource definitions, not for its code
require github.com/kedacore/keda/v2 v2.21.0
