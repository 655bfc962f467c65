{{/* What the schema cannot say: combinations that cannot work end the render with a sentence that names the key. */}}
{{- define "slipway.validate" -}}
{{- $root := . -}}
{{- if gt (len .Release.Name) 25 -}}
{{- fail (printf "The release name %s has %d characters: names of its objects have room for 25." .Release.Name (len .Release.Name)) -}}
{{- end -}}
{{- if not (regexMatch "^https://[a-z0-9.-]+(:[0-9]+)?$" .Values.origin) -}}
{{- fail (printf "origin is %q: set the public address, https://host or https://host:port, in lower case and with nothing behind it." .Values.origin) -}}
{{- end -}}
{{- $paths := dict -}}
{{- range $name, $_ := .Values.services -}}
{{- $scope := dict "root" $root "name" $name -}}
{{- $service := include "slipway.service" $scope | fromJson -}}
{{- include "slipway.validateService" $scope -}}
{{- if $service.public -}}
{{- range $path := $service.paths | default (list "/") -}}
{{- with get $paths $path -}}
{{- fail (printf "services.%s.paths: %s is already routed to %s." $name $path .) -}}
{{- end -}}
{{- $_ := set $paths $path $name -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "slipway.validateStores" . -}}
{{- range $parameter := list "max_connections" "listen_addresses" "unix_socket_directories" -}}
{{- if hasKey $root.Values.postgres.parameters $parameter -}}
{{- fail (printf "postgres.parameters.%s: the chart sets this one itself; for max_connections there is postgres.maxConnections." $parameter) -}}
{{- end -}}
{{- end -}}
{{- include "slipway.validateConnections" . -}}
{{- if and .Values.tracing.endpoint (not .Values.tracing.peers) .Values.networkPolicies.enabled -}}
{{- fail "tracing.endpoint is set and tracing.peers is empty: say where the collector is, or the network policies keep every trace inside." -}}
{{- end -}}
{{- end }}

{{/* One service: (dict "root" $ "name" "items"). */}}
{{- define "slipway.validateService" -}}
{{- $root := .root -}}
{{- $name := .name -}}
{{- $key := printf "services.%s" .name -}}
{{- $service := include "slipway.service" . | fromJson -}}
{{- if has .name (list "postgres" "cache" "state" "roles" "test" "edge" "secrets" "policies" "deny" "dns" "tls") -}}
{{- fail (printf "%s: the name %s is taken by a part of the release." $key .name) -}}
{{- end -}}
{{- if regexMatch "-(migrate|database|test)$" .name -}}
{{- fail (printf "%s: names that end in -migrate, -database or -test are for parts of a service." $key) -}}
{{- end -}}
{{- range $callee := $service.calls -}}
{{- if not (hasKey $root.Values.services $callee) -}}
{{- fail (printf "%s.calls: there is no service %s; there are %s." $key $callee (keys $root.Values.services | sortAlpha | join ", ")) -}}
{{- end -}}
{{- if eq $callee $name }}{{ fail (printf "%s.calls: a service does not call itself." $key) }}{{ end -}}
{{- end -}}
{{- range $flag := list "developmentOnly" "reload" -}}
{{- if and (get $service $flag) (ne $root.Values.environment "development") -}}
{{- fail (printf "%s.%s is true, which needs environment: development; this one is %s." $key $flag $root.Values.environment) -}}
{{- end -}}
{{- end -}}
{{- if and $service.migrate (not (has "postgres" $service.uses)) -}}
{{- fail (printf "%s.migrate is true but postgres is not among %s.uses: there is nothing to migrate." $key $key) -}}
{{- end -}}
{{- if eq $service.tokens "verify" -}}
{{- if not (or (has "auth" $service.calls) $root.Values.tokens.jwksUrl) -}}
{{- fail (printf "%s.tokens is verify, but there are no keys to verify with: put auth into %s.calls, or set tokens.jwksUrl." $key $key) -}}
{{- end -}}
{{- if and $root.Values.tokens.jwksUrl (not (has "auth" $service.calls)) $root.Values.networkPolicies.enabled (not $service.egress) -}}
{{- fail (printf "%s.egress is empty: the keys at tokens.jwksUrl are outside the release, and the network policies would refuse the way there." $key) -}}
{{- end -}}
{{- end -}}
{{- if eq $service.autoscaling.driver "hpa" -}}
{{- if gt (int $service.autoscaling.minReplicas) (int $service.autoscaling.maxReplicas) -}}
{{- fail (printf "%s.autoscaling: minReplicas is %d, more than maxReplicas, %d." $key (int $service.autoscaling.minReplicas) (int $service.autoscaling.maxReplicas)) -}}
{{- end -}}
{{- if not (dig "requests" "cpu" "" $service.resources) -}}
{{- fail (printf "%s.resources.requests.cpu is missing: the autoscaler measures use in percent of it." $key) -}}
{{- end -}}
{{- end -}}
{{- $own := merge (include "slipway.plainEnv" . | fromJson) (include "slipway.secretEnv" . | fromJson) -}}
{{- range $variable, $_ := $service.env -}}
{{- if hasKey $own $variable -}}
{{- fail (printf "%s.env.%s: the chart sets this variable itself, or secretEnv does." $key $variable) -}}
{{- end -}}
{{- end -}}
{{- $plain := include "slipway.plainEnv" . | fromJson -}}
{{- range $variable, $source := $service.secretEnv -}}
{{- if or (hasKey $plain $variable) (has $variable (list "DATABASE_URL" "CACHE_URL" "STATE_URL")) -}}
{{- fail (printf "%s.secretEnv.%s: the chart sets this variable itself." $key $variable) -}}
{{- end -}}
{{- if and $source.value $source.existingSecret -}}
{{- fail (printf "%s.secretEnv.%s: value and existingSecret exclude each other." $key $variable) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Stores that somebody uses must be somewhere. Takes the root. */}}
{{- define "slipway.validateStores" -}}
{{- $root := . -}}
{{- range $store := list "postgres" "cache" "state" -}}
{{- $values := get $root.Values $store -}}
{{- $address := ternary "host" "url" (eq $store "postgres") -}}
{{- if and $values.deploy (get $values $address) -}}
{{- fail (printf "%s.%s is set and %s.deploy is true: either the release brings its own, or it is told where one is." $store $address $store) -}}
{{- end -}}
{{- if and (not $values.deploy) (include "slipway.usersOf" (dict "root" $root "name" $store) | fromJsonArray) -}}
{{- if not (or (get $values $address) (and (ne $store "postgres") $values.existingSecret)) -}}
{{- fail (printf "%s.deploy is false and %s.%s is empty, but services use it: say where it is." $store $store $address) -}}
{{- end -}}
{{- if and $root.Values.networkPolicies.enabled (not $values.peers) -}}
{{- fail (printf "%s.deploy is false and %s.peers is empty: the network policies would refuse the way there." $store $store) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
Pools that outgrow Postgres show at the worst moment, so they are counted before. Every service counts twice: while it
rolls, pods that drain still hold the connections that their successors open. Takes the root.
*/}}
{{- define "slipway.validateConnections" -}}
{{- $root := . -}}
{{- $total := 4 -}}
{{- $terms := list "3 kept for the administrator" "1 of the roles Job" -}}
{{- range $name := include "slipway.usersOf" (dict "root" . "name" "postgres") | fromJsonArray -}}
{{- $scope := dict "root" $root "name" $name -}}
{{- $service := include "slipway.service" $scope | fromJson -}}
{{- $pods := include "slipway.maxPods" $scope | int -}}
{{- $pool := int $service.database.poolSize -}}
{{- $total = add $total (mul 2 $pods $pool) -}}
{{- $terms = append $terms (printf "2 × %d pods × %d of %s" $pods $pool $name) -}}
{{- if $service.migrate -}}
{{- $total = add $total 2 -}}
{{- $terms = append $terms (printf "2 of its migration") -}}
{{- end -}}
{{- end -}}
{{- if gt (int $total) (int .Values.postgres.maxConnections) -}}
{{- fail (printf "postgres.maxConnections is %d and the release can need %d (%s; twice, because pods that drain still hold theirs): raise it, or lower database.poolSize or the replicas." (int .Values.postgres.maxConnections) (int $total) (join ", " $terms)) -}}
{{- end -}}
{{- end }}
