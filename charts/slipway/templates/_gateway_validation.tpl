{{/* Routes and ways in that cannot work: what the gateway would refuse at its start, and what it would never see. */}}

{{/* Takes the root. */}}
{{- define "slipway.validateWayIn" -}}
{{- $root := . -}}
{{- $routes := include "slipway.edgeRoutes" . | fromJson -}}
{{- range $edge := list "ingress" "gatewayApi" -}}
{{- if and (get $root.Values $edge).enabled (not $routes) -}}
{{- fail (printf "%s.enabled is true and no service is public: set public: true for one of them, or %s.enabled: false." $edge $edge) -}}
{{- end -}}
{{- end -}}
{{- $api := .Values.gatewayApi -}}
{{- if and $api.enabled (not $api.parentRefs) -}}
{{- fail "gatewayApi.enabled is true and gatewayApi.parentRefs is empty: name the Gateway that the routes belong to." -}}
{{- end -}}
{{- if and $api.enabled .Values.networkPolicies.enabled (not $api.namespaces) -}}
{{- fail "gatewayApi.enabled is true and gatewayApi.namespaces is empty: say where the edge's pods run, or the network policies keep them out." -}}
{{- end -}}
{{- if hasKey .Values.services "gateway" }}{{ include "slipway.validateGateway" . }}{{ end -}}
{{- end }}

{{/* The gateway and what is behind it. Takes the root. */}}
{{- define "slipway.validateGateway" -}}
{{- $root := . -}}
{{- $gateway := include "slipway.service" (dict "root" . "name" "gateway") | fromJson -}}
{{- if ne $gateway.tokens "verify" -}}
{{- fail (printf "services.gateway.tokens is %s: the gateway checks tokens, so it must be verify." $gateway.tokens) -}}
{{- end -}}
{{- if $gateway.paths -}}
{{- fail "services.gateway.paths: the gateway has those of the services that it calls, so this one must be empty." -}}
{{- end -}}
{{- $forwarded := include "slipway.forwarded" . | fromJsonArray -}}
{{- if not $forwarded -}}
{{- fail "services.gateway.calls: none of the services that it calls has paths, so it would have nothing to forward." -}}
{{- end -}}
{{- $seen := dict -}}
{{- range $name, $_ := .Values.services -}}
{{- $service := include "slipway.service" (dict "root" $root "name" $name) | fromJson -}}
{{- if and $service.public $gateway.public (ne $name "gateway") -}}
{{- fail (printf "services.%s.public is true and so is services.gateway.public: the gateway is the one way in; add %s to services.gateway.calls instead, or take the gateway out (services.gateway: null)." $name $name) -}}
{{- end -}}
{{- if has $name $forwarded -}}
{{- range $path := concat $service.paths (keys $service.routes) | uniq -}}
{{- with get $seen $path -}}
{{- fail (printf "services.%s.paths: %s is already routed to %s." $name $path .) -}}
{{- end -}}
{{- $_ := set $seen $path $name -}}
{{- include "slipway.validateRoute" (dict "root" $root "name" $name "service" $service "gateway" $gateway "path" $path) -}}
{{- end -}}
{{- else if $service.routes -}}
{{- fail (printf "services.%s.routes: services.gateway.calls does not name %s, or it has no paths, so nobody would read them." $name $name) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* One route: (dict "root" "name" "service" "gateway" "path"). */}}
{{- define "slipway.validateRoute" -}}
{{- $key := printf "services.%s.routes.%s" .name .path -}}
{{- if has .path .service.paths }}{{ $key = printf "services.%s.paths: %s" .name .path }}{{ end -}}
{{- if or (has .path (list "/" "/docs" "/openapi.json")) (hasPrefix "/docs/" .path) -}}
{{- fail (printf "%s is the gateway's own." $key) -}}
{{- end -}}
{{- range $segment := splitList "/" .path -}}
{{- if has $segment (list "." "..") }}{{ fail (printf "%s: . and .. are no parts of a path." $key) }}{{ end -}}
{{- end -}}
{{- $covered := false -}}
{{- range $prefix := .service.paths -}}
{{- if or (eq $.path $prefix) (hasPrefix (printf "%s/" $prefix) $.path) }}{{ $covered = true }}{{ end -}}
{{- end -}}
{{- if not $covered -}}
{{- fail (printf "services.%s.routes.%s is neither one of services.%s.paths nor below one: %s." .name .path .name (join ", " .service.paths)) -}}
{{- end -}}
{{- $key = printf "services.%s.routes.%s" .name .path -}}
{{- $route := get .service.routes .path | default dict -}}
{{- $most := get .gateway.env "MAX_BODY_BYTES" | default "16777216" -}}
{{- if gt (int64 ($route.max_body_bytes | default 0)) (int64 $most) -}}
{{- fail (printf "%s.max_body_bytes is %d, over the %s of any route: raise services.gateway.env.MAX_BODY_BYTES, or lower it." $key (int64 $route.max_body_bytes) $most) -}}
{{- end -}}
{{- if and (eq ($route.without_state | default "local") "closed") (not (has "state" .gateway.uses)) -}}
{{- fail (printf "%s.without_state is closed and services.gateway.uses lacks state: nothing would ever pass." $key) -}}
{{- end -}}
{{- $kinds := list -}}
{{- $share := include "slipway.minPods" (dict "root" .root "name" "gateway") | int -}}
{{- range $index, $quota := $route.limits -}}
{{- $here := printf "%s.limits.%d" $key $index -}}
{{- if and $route.public (eq $quota.per "principal") -}}
{{- fail (printf "%s.per is principal: a public route knows nobody; address or route would be right." $here) -}}
{{- end -}}
{{- if and $quota.path (ne $quota.path $.path) (not (hasPrefix (printf "%s/" $.path) ($quota.path | default ""))) -}}
{{- fail (printf "%s.path: %s is not below the route." $here $quota.path) -}}
{{- end -}}
{{- $kind := printf "%s %d %s %s" $quota.per (int64 $quota.seconds) ($quota.path | default "") ($quota.methods | default list | uniq | sortAlpha | join ",") -}}
{{- if has $kind $kinds }}{{ fail (printf "%s: another one has the same per, path, methods and seconds." $here) }}{{ end -}}
{{- $kinds = append $kinds $kind -}}
{{- $window := mulf (float64 $quota.seconds) $share 1000000 -}}
{{- $burst := max 1 (div (int64 ($quota.burst | default $quota.count)) $share) -}}
{{- if or (ge (mulf $window $burst 2) 9007199254740992.0) (ge (mulf $window (float64 $quota.count)) 9007199254740992.0) -}}
{{- fail (printf "%s: count, seconds and burst are, among %d gateways, too large to be counted exactly." $here $share) -}}
{{- end -}}
{{- end -}}
{{- end }}
