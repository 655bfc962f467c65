{{/* Peers and rules of network policies. */}}

{{/* The release's pods of one component: (dict "root" $ "name" "items"). */}}
{{- define "slipway.peer" -}}
- podSelector:
    matchLabels: {{- include "slipway.selectorLabels" . | nindent 6 }}
{{- end }}

{{/* All pods of a namespace, or those with the labels: (dict "namespace" "labels"). */}}
{{- define "slipway.outsidePeer" -}}
- namespaceSelector:
    matchLabels: {kubernetes.io/metadata.name: {{ .namespace }}}
  {{- with .labels }}
  podSelector:
    matchLabels: {{ toJson . }}
  {{- end }}
{{- end }}

{{/* Services that call this one, as JSON. */}}
{{- define "slipway.callersOf" -}}
{{- $root := .root -}}
{{- $callee := .name -}}
{{- $callers := list -}}
{{- range $name, $_ := .root.Values.services -}}
{{- $service := include "slipway.service" (dict "root" $root "name" $name) | fromJson -}}
{{- if has $callee $service.calls }}{{ $callers = append $callers $name }}{{ end -}}
{{- end -}}
{{ toJson $callers }}
{{- end }}

{{/* The way to a store, here or outside: (dict "root" $ "name" "postgres"). */}}
{{- define "slipway.toStore" -}}
{{- $store := get .root.Values .name -}}
{{- $port := int $store.port -}}
{{- with get $store "url" }}{{ $port = include "slipway.urlPort" . | int }}{{ end -}}
- to:
    {{- if $store.deploy }}
    {{- include "slipway.peer" . | nindent 4 }}
    {{- else }}
    {{- toYaml $store.peers | nindent 4 }}
    {{- end }}
  ports: [{port: {{ $port }}}]
{{- end }}

{{/* The port of a URL, or its scheme's own. */}}
{{- define "slipway.urlPort" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) -}}
{{- $port | default (get (dict "http" "80" "https" "443" "redis" "6379" "rediss" "6379") $url.scheme) -}}
{{- end }}
