module slipway/k8s/node/gateway-api

go 1.26.0

// for its custom resource definitions, not for its code
require sigs.k8s.io/gateway-api v1.6.1
