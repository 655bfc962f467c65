{{/* Postgres and the two Redis: their files, checksums, and what speaks to them. */}}

{{/* The image of a store: (dict "root" $ "name" "postgres"). */}}
{{- define "slipway.storeImage" -}}
{{ include "slipway.imageReference" (get .root.Values .name).image }}
{{- end }}

{{/* Takes the root. */}}
{{- define "slipway.postgresFiles" -}}
start.sh: |
  {{- .Files.Get "files/postgres/start.sh" | nindent 2 }}
pg_hba.conf: |
  {{- .Files.Get "files/postgres/pg_hba.conf" | nindent 2 }}
postgresql.conf: |
  listen_addresses = '*'
  unix_socket_directories = '/tmp'
  max_connections = {{ int .Values.postgres.maxConnections }}
  tcp_keepalives_idle = 60
  {{- range $key, $value := .Values.postgres.parameters }}
  {{ $key }} = '{{ $value | replace "'" "''" }}'
  {{- end }}
{{- end }}

{{/* Takes the root. */}}
{{- define "slipway.rolesFiles" -}}
reconcile.sh: |
  {{- .Files.Get "files/roles/reconcile.sh" | nindent 2 }}
service.sql: |
  {{- .Files.Get "files/roles/service.sql" | nindent 2 }}
monitor.sql: |
  {{- .Files.Get "files/roles/monitor.sql" | nindent 2 }}
{{- end }}

{{/* (dict "root" $ "name" "cache") */}}
{{- define "slipway.redisFiles" -}}
start.sh: |
  {{- .root.Files.Get "files/redis/start.sh" | nindent 2 }}
ready.sh: |
  {{- .root.Files.Get "files/redis/ready.sh" | nindent 2 }}
redis.conf: |
  {{- .root.Files.Get "files/redis/common.conf" | nindent 2 }}
  {{- .root.Files.Get (printf "files/redis/%s.conf" .name) | nindent 2 }}
  maxmemory {{ (get .root.Values .name).maxMemory }}
{{- end }}

{{/* Names of the services that use a store, as JSON: (dict "root" $ "name" "postgres"). */}}
{{- define "slipway.usersOf" -}}
{{- $root := .root -}}
{{- $store := .name -}}
{{- $users := list -}}
{{- range $name, $_ := .root.Values.services -}}
{{- $service := include "slipway.service" (dict "root" $root "name" $name) | fromJson -}}
{{- if has $store $service.uses }}{{ $users = append $users $name }}{{ end -}}
{{- end -}}
{{ toJson $users }}
{{- end }}

{{/* Not empty when the chart's own Postgres is watched, by a login of its own. Takes the root. */}}
{{- define "slipway.monitorWanted" -}}
{{- if and .Values.postgres.deploy .Values.observability.exporters.enabled }}true{{ end -}}
{{- end }}

{{/* Not empty when there are databases to make, as some service uses Postgres, or a login. Takes the root. */}}
{{- define "slipway.rolesWanted" -}}
{{- if or (include "slipway.monitorWanted" .) (include "slipway.usersOf" (dict "root" . "name" "postgres") | fromJsonArray) }}true{{ end -}}
{{- end }}

{{/* Not empty when the release makes them itself, as an administrator. Takes the root. */}}
{{- define "slipway.rolesJob" -}}
{{- if and (include "slipway.rolesWanted" .) (or .Values.postgres.deploy .Values.postgres.existingSecret) }}true{{ end -}}
{{- end }}

{{/* Authorities that certificates of stores outside are checked against, mounted at /ca/<store>: (dict "root" "stores"). */}}
{{- define "slipway.caMounts" -}}
{{- range $store := .stores }}
{{- if (get $.root.Values $store).caSecret.name }}
- {name: ca-{{ $store }}, mountPath: /ca/{{ $store }}, readOnly: true}
{{- end }}
{{- end }}
{{- end }}
{{- define "slipway.caVolumes" -}}
{{- range $store := .stores }}
{{- with (get $.root.Values $store).caSecret }}
{{- if .name }}
- name: ca-{{ $store }}
  secret: {secretName: {{ .name }}, defaultMode: 0444, items: [{key: {{ .key }}, path: ca.crt}]}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The claim of a store's volume; no labels that could change: it is immutable. Takes the store's `storage`. */}}
{{- define "slipway.volumeClaim" -}}
- metadata:
    name: data
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .className }}
    storageClassName: {{ . }}
    {{- end }}
    resources:
      requests: {storage: {{ .size }}}
{{- end }}
