{{/* Names, labels and what a service's entry comes to. Helpers about one service take (dict "root" $ "name" "items"). */}}

{{/* <release>-<name>: two releases in one namespace never meet. */}}
{{- define "slipway.fullname" -}}
{{ .root.Release.Name }}-{{ .name }}
{{- end }}

{{/* Selectors never change: nothing here may come from the chart's version or from values. */}}
{{- define "slipway.selectorLabels" -}}
app.kubernetes.io/name: slipway
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{/* Labels of objects. Pods get the selector's labels only, or each version of the chart would restart them. */}}
{{- define "slipway.labels" -}}
{{ include "slipway.selectorLabels" . }}
app.kubernetes.io/part-of: slipway
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/*
A service's entry laid over the defaults, as JSON. Who verifies tokens of the release's own auth calls it for the keys, and
uses `state`, where it says what was revoked.
*/}}
{{- define "slipway.service" -}}
{{- $service := mustMergeOverwrite (deepCopy .root.Values.defaults) (deepCopy (get .root.Values.services .name)) -}}
{{- if and (eq $service.tokens "verify") (not .root.Values.tokens.jwksUrl) (hasKey .root.Values.services "auth") (ne .name "auth") -}}
{{- $_ := set $service "calls" (append $service.calls "auth" | uniq) -}}
{{- $_ := set $service "uses" (append $service.uses "state" | uniq) -}}
{{- end -}}
{{ toJson $service }}
{{- end }}

{{/* The most pods a service can have at rest. */}}
{{- define "slipway.maxPods" -}}
{{- $service := include "slipway.service" . | fromJson -}}
{{- if eq $service.autoscaling.driver "none" }}{{ int $service.replicas }}{{ else }}{{ int $service.autoscaling.maxReplicas }}{{ end -}}
{{- end }}

{{/*
How many pods an autoscaler may add at a time: as many as there are, within half a minute. Each takes seconds of CPU to
start and serves nobody meanwhile; Kubernetes' own rule, four at once, has four take it from one that serves.
*/}}
{{- define "slipway.scaleUp" -}}
policies:
  - {type: Percent, value: 100, periodSeconds: 30}
{{- end }}

{{/* The image of a service: the digest, where given, decides; the tag then only tells people what it is. */}}
{{- define "slipway.image" -}}
{{- $service := include "slipway.service" . | fromJson -}}
{{- $repository := $service.image.repository | default (printf "slipway/%s" .name) -}}
{{- $global := .root.Values.global.image -}}
{{- include "slipway.imageReference" (dict
      "registry" $global.registry
      "repository" $repository
      "tag" ($service.image.tag | default (get $global.tags (base $repository)) | default $global.tag | default .root.Chart.AppVersion)
      "digest" $service.image.digest) -}}
{{- end }}

{{/* registry/repository:tag@digest from (dict "registry" "repository" "tag" "digest"). */}}
{{- define "slipway.imageReference" -}}
{{- with .registry }}{{ trimSuffix "/" . }}/{{ end }}{{ .repository }}:{{ .tag }}{{ with .digest }}@{{ . }}{{ end -}}
{{- end }}

{{/* imagePullSecrets, or nothing. Takes the root. */}}
{{- define "slipway.pullSecrets" -}}
{{- with .Values.global.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The pod's half of the restricted Pod Security Standard; takes a numeric user. */}}
{{- define "slipway.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* The container's half. */}}
{{- define "slipway.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Where pods are placed: by the entry, key by key, else by .Values.placement. Takes (dict "root" "entry"), without entry for stores and Jobs. */}}
{{- define "slipway.placement" -}}
{{- $root := .root -}}
{{- $entry := .entry | default dict -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
{{- with get $entry $key | default (get $root.Values.placement $key) }}
{{ $key }}: {{ toJson . }}
{{- end }}
{{- end }}
{{- end }}

{{/* A name as SQL and environments write it: my-service is my_service. */}}
{{- define "slipway.identifier" -}}
{{ replace "-" "_" . }}
{{- end }}

{{/* The `iss` of every token. Takes the root. */}}
{{- define "slipway.issuer" -}}
{{ .Values.tokens.issuer | default .Values.origin }}
{{- end }}

{{/* Where Postgres listens. Takes the root. */}}
{{- define "slipway.postgresHost" -}}
{{- if .Values.postgres.deploy }}{{ .Release.Name }}-postgres{{ else }}{{ .Values.postgres.host }}{{ end -}}
{{- end }}
{{- define "slipway.postgresSslMode" -}}
{{ .Values.postgres.sslMode | default (ternary "disable" "require" .Values.postgres.deploy) }}
{{- end }}
