{{/* The way in: what the edge routes, and what the gateway does. */}}

{{/* Services that the gateway forwards to, as JSON: those that it calls and that have paths. Takes the root. */}}
{{- define "slipway.forwarded" -}}
{{- $root := . -}}
{{- $found := list -}}
{{- if hasKey .Values.services "gateway" -}}
{{- range $callee := (include "slipway.service" (dict "root" . "name" "gateway") | fromJson).calls -}}
{{- if hasKey $root.Values.services $callee -}}
{{- if (include "slipway.service" (dict "root" $root "name" $callee) | fromJson).paths }}{{ $found = append $found $callee }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ toJson $found }}
{{- end }}

{{/* The Service without an address of its own, whose name stands for every ready pod: (dict "root" $ "name" "items"). */}}
{{- define "slipway.podsName" -}}
{{ include "slipway.fullname" . }}-pods
{{- end }}

{{/*
The table of routes as the gateway reads it. The name ends in a dot: it is whole, so that the resolver asks for it once
and not below every domain of its search list as well. Takes the root.
*/}}
{{- define "slipway.routes" -}}
{{- $root := . -}}
{{- $table := dict -}}
{{- range $name := include "slipway.forwarded" . | fromJsonArray -}}
{{- $scope := dict "root" $root "name" $name -}}
{{- $service := include "slipway.service" $scope | fromJson -}}
{{- $host := printf "%s.%s.svc.%s." (include "slipway.podsName" $scope) $root.Release.Namespace $root.Values.clusterDomain -}}
{{- range $path := concat $service.paths (keys $service.routes) | uniq -}}
{{- $route := dict "upstream" (printf "http://%s:8000" $host) "service" $name -}}
{{- $_ := set $table $path (merge $route (get $service.routes $path | default dict)) -}}
{{- end -}}
{{- end -}}
{{ toPrettyJson $table }}
{{- end }}

{{/* What the edge routes, by service, as JSON: {slipway-gateway: [/]}. Takes the root. */}}
{{- define "slipway.edgeRoutes" -}}
{{- $root := . -}}
{{- $routes := dict -}}
{{- range $name, $_ := .Values.services -}}
{{- $scope := dict "root" $root "name" $name -}}
{{- $service := include "slipway.service" $scope | fromJson -}}
{{- if $service.public }}{{ $_ := set $routes (include "slipway.fullname" $scope) ($service.paths | default (list "/")) }}{{ end -}}
{{- end -}}
{{ toJson $routes }}
{{- end }}

{{/* The namespaces of the edge's pods, as JSON. Takes the root. */}}
{{- define "slipway.edgeNamespaces" -}}
{{- $found := list -}}
{{- range $edge := list .Values.ingress .Values.gatewayApi -}}
{{- if $edge.enabled }}{{ $found = concat $found $edge.namespaces }}{{ end -}}
{{- end -}}
{{ $found | uniq | toJson }}
{{- end }}

{{/* The host of the origin, and its port. Take the root. */}}
{{- define "slipway.originHost" -}}
{{ (urlParse .Values.origin).host | regexFind "^[^:]+" }}
{{- end }}
{{- define "slipway.originPort" -}}
{{ include "slipway.urlPort" .Values.origin }}
{{- end }}

{{/* A path from outside that answers 401 without a token, or nothing where none is known. Takes the root. */}}
{{- define "slipway.askingPath" -}}
{{- $root := . -}}
{{- $path := "" -}}
{{- $forwarded := include "slipway.forwarded" . | fromJsonArray -}}
{{- range $name, $_ := .Values.services -}}
{{- $service := include "slipway.service" (dict "root" $root "name" $name) | fromJson -}}
{{- if and (not $path) (eq $service.tokens "verify") $service.paths (or $service.public (has $name $forwarded)) -}}
{{- if not (dig (first $service.paths) "public" false $service.routes) }}{{ $path = first $service.paths }}{{ end -}}
{{- end -}}
{{- end -}}
{{ $path }}
{{- end }}

{{/* The fewest pods of a service: (dict "root" $ "name" "gateway"). */}}
{{- define "slipway.minPods" -}}
{{- $service := include "slipway.service" . | fromJson -}}
{{- ternary $service.replicas $service.autoscaling.minReplicas (eq $service.autoscaling.driver "none") | int | max 1 | min 100 -}}
{{- end }}
