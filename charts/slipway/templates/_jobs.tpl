{{/*
Specs of the Jobs. A Job's name ends in a hash of its spec: what has not changed does not run again, and what has is
another Job (a Job's spec is immutable). So nothing belongs in here that changes without a reason to run again.
*/}}

{{/*
A Job's name, from (dict "root" "prefix" "spec"). One that has failed does not run again by itself, so while there is
no other of this spec, the next upgrade makes one with its revision in the name. Without a cluster nothing is found.
*/}}
{{- define "slipway.jobName" -}}
{{- $name := printf "%s-%s" .prefix (.spec | sha256sum | trunc 8) -}}
{{- $retry := printf "%s-%d" $name (int .root.Release.Revision) -}}
{{- $failed := false -}}
{{- $other := "" -}}
{{- range (lookup "batch/v1" "Job" .root.Release.Namespace "").items -}}
{{- if regexMatch (printf "^%s(-[0-9]+)?$" $name) .metadata.name -}}
{{- if include "slipway.jobFailed" . }}{{ $failed = true }}{{ else }}{{ $other = .metadata.name }}{{ end -}}
{{- end -}}
{{- end -}}
{{ $other | default (ternary $retry $name $failed) }}
{{- end }}

{{/* Not empty when the Job, as the cluster has it, has given up. */}}
{{- define "slipway.jobFailed" -}}
{{- range dig "status" "conditions" list . }}{{ if and (eq .type "Failed") (eq .status "True") }}true{{ end }}{{ end -}}
{{- end }}

{{/*
Seconds that what runs in a Job may wait: half of the Job's own. Those count from the Job's start, before images are
there, and delete the running pod with its log: the reason must be out before, and the next attempt has the other half.
*/}}
{{- define "slipway.jobWaitSeconds" -}}
{{ div (int .Values.jobs.deadlineSeconds) 2 }}
{{- end }}

{{/* A Job's spec, from (dict "root" "component" "account" "user" "container" "volumes"), and "stores" where it asks others than postgres. */}}
{{- define "slipway.jobSpec" -}}
backoffLimit: {{ int .root.Values.jobs.backoffLimit }}
activeDeadlineSeconds: {{ int .root.Values.jobs.deadlineSeconds }}
template:
  metadata:
    labels: {{- include "slipway.selectorLabels" (dict "root" .root "name" .component) | nindent 6 }}
    {{- with .annotations }}
    annotations: {{ toJson . }}
    {{- end }}
  spec:
    restartPolicy: Never # a failed pod stays, and its log with it
    serviceAccountName: {{ .account }}
    automountServiceAccountToken: false
    enableServiceLinks: false
    {{- with include "slipway.pullSecrets" .root }}{{ trim . | nindent 4 }}{{ end }}
    {{- with include "slipway.placement" (dict "root" .root) }}{{ trim . | nindent 4 }}{{ end }}
    securityContext: {{- include "slipway.podSecurityContext" .user | nindent 6 }}
    containers:
      - resources: {{ toJson .root.Values.jobs.resources }}
        imagePullPolicy: {{ .root.Values.global.image.pullPolicy }}
        securityContext: {{- include "slipway.securityContext" . | nindent 10 }}
        {{- .container | nindent 8 }}
    volumes:
      {{- .volumes | nindent 6 }}
      {{- with include "slipway.caVolumes" (dict "root" .root "stores" (.stores | default (list "postgres"))) }}{{ trim . | nindent 6 }}{{ end }}
{{- end }}

{{/* The Job that makes databases, roles, logins and grants. Takes the root. */}}
{{- define "slipway.rolesSpec" -}}
{{- $root := . -}}
{{- $secrets := include "slipway.secrets" . | fromJson -}}
{{- $databases := list -}}
{{- $sources := list -}}
{{- $passwords := dict "rotation" (int .Values.postgres.rotation) -}}
{{- range $name := include "slipway.usersOf" (dict "root" . "name" "postgres") | fromJsonArray -}}
{{- $database := include "slipway.identifier" $name -}}
{{- $secret := include "slipway.databaseSecret" (dict "root" $root "name" $name) -}}
{{- $databases = append $databases $database -}}
{{- $items := list -}}
{{- range $key := list "app-password" "owner-password" -}}
{{- $items = append $items (dict "key" $key "path" (printf "%s/%s" $database $key)) -}}
{{- end -}}
{{- $sources = append $sources (dict "secret" (dict "name" $secret "items" $items)) -}}
{{- $_ := set $passwords $name (get $secrets $secret) -}}
{{- end -}}
{{- if include "slipway.monitorWanted" . -}}
{{- $secret := include "slipway.monitorSecret" . -}}
{{- $sources = append $sources (dict "secret" (dict "name" $secret "items" (list (dict "key" "password" "path" "monitor-password")))) -}}
{{- $_ := set $passwords "monitor" (get $secrets $secret) -}}
{{- end -}}
{{- $container := include "slipway.rolesContainer" (dict "root" . "databases" (join " " $databases)) -}}
{{- $volumes := list
      (dict "name" "tmp" "emptyDir" (dict "sizeLimit" "16Mi"))
      (dict "name" "files" "configMap" (dict "name" (printf "%s-roles" .Release.Name)))
      (dict "name" "secrets" "projected" (dict "defaultMode" 288 "sources" $sources)) -}}
{{- include "slipway.jobSpec" (dict
      "root" .
      "component" "roles"
      "account" (printf "%s-roles" .Release.Name)
      "user" 10002
      "annotations" (dict
        "checksum/files" (include "slipway.rolesFiles" . | sha256sum)
        "checksum/passwords" (toJson $passwords | sha256sum))
      "container" $container
      "volumes" (toYaml $volumes)) -}}
{{- end }}

{{/* Takes (dict "root" "databases"). */}}
{{- define "slipway.rolesContainer" -}}
{{- $postgres := .root.Values.postgres -}}
{{- $secret := include "slipway.storeSecret" (dict "root" .root "name" "postgres") -}}
name: roles
image: {{ include "slipway.storeImage" (dict "root" .root "name" "postgres") }}
command: [/bin/sh, /files/reconcile.sh]
env:
  - {name: SERVICES, value: {{ .databases | quote }}}
  - {name: SLOT, value: {{ include "slipway.loginSlot" .root }}}
  - {name: SECRETS_DIR, value: /secrets}
  - {name: BUNDLED, value: {{ ternary "1" "0" $postgres.deploy | quote }}}
  - {name: MONITOR, value: {{ include "slipway.monitorWanted" .root | empty | ternary "0" "1" | quote }}}
  - {name: DEADLINE_SECONDS, value: {{ include "slipway.jobWaitSeconds" .root | quote }}}
  - {name: QUIET_SECONDS, value: "15"}
  {{- if $postgres.deploy }}
  - {name: PGHOST, value: {{ include "slipway.postgresHost" .root }}}
  - {name: PGPORT, value: {{ int $postgres.port | quote }}}
  - {name: PGUSER, value: postgres}
  - name: PGPASSWORD
    valueFrom: {secretKeyRef: {name: {{ $secret }}, key: password}}
  {{- else }}
  - name: ADMIN_URL
    valueFrom: {secretKeyRef: {name: {{ $secret }}, key: url}}
  # what the administrator's URL does not say
  - {name: PGSSLMODE, value: {{ include "slipway.postgresSslMode" .root }}}
  {{- if $postgres.caSecret.name }}
  - {name: PGSSLROOTCERT, value: /ca/postgres/ca.crt}
  {{- end }}
  {{- end }}
volumeMounts:
  - {name: files, mountPath: /files, readOnly: true}
  - {name: secrets, mountPath: /secrets, readOnly: true}
  - {name: tmp, mountPath: /tmp}
  {{- with include "slipway.caMounts" (dict "root" .root "stores" (list "postgres")) }}{{ trim . | nindent 2 }}{{ end }}
{{- end }}

{{/* The Job that brings a service's database to the schema its image knows: (dict "root" $ "name" "items"). */}}
{{- define "slipway.migrationSpec" -}}
{{- $container := include "slipway.migrationContainer" . -}}
{{- include "slipway.jobSpec" (dict
      "root" .root
      "component" (printf "%s-migrate" .name)
      "account" (include "slipway.fullname" .)
      "user" 10001
      "container" $container
      "volumes" (list (dict "name" "tmp" "emptyDir" (dict "sizeLimit" "64Mi")) | toYaml)) -}}
{{- end }}

{{- define "slipway.migrationContainer" -}}
name: migrate
image: {{ include "slipway.image" . }}
args: [migrate]
env:
  - {name: DATABASE_OWNER_ROLE, value: {{ include "slipway.identifier" .name }}_owner}
  # for the server and the roles Job
  - {name: DATABASE_WAIT_SECONDS, value: {{ include "slipway.jobWaitSeconds" .root | quote }}}
  - {name: ENVIRONMENT, value: {{ .root.Values.environment }}}
  - name: DATABASE_URL
    valueFrom: {secretKeyRef: {name: {{ include "slipway.databaseSecret" . }}, key: owner-url}}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- with include "slipway.caMounts" (dict "root" .root "stores" (list "postgres")) }}{{ trim . | nindent 2 }}{{ end }}
{{- end }}

{{/*
The spec of the Jobs that a cron of a service makes, or that run once: (dict "root" $ "name" "auth" "args" (list "clean")).
What a serving pod may read, a command may, on a pool of two; with "logLevel" whatever the values say of that.
*/}}
{{- define "slipway.cronSpec" -}}
{{- $service := include "slipway.service" . | fromJson -}}
{{- include "slipway.jobSpec" (dict
      "root" .root
      "component" (printf "%s-cron" .name)
      "account" (include "slipway.fullname" .)
      "user" 10001
      "stores" $service.uses
      "container" (include "slipway.cronContainer" .)
      "volumes" (list (dict "name" "tmp" "emptyDir" (dict "sizeLimit" "64Mi")) | toYaml)) -}}
{{- end }}

{{- define "slipway.cronContainer" -}}
{{- $service := include "slipway.service" . | fromJson -}}
{{- $overrides := ternary (dict "DATABASE_POOL_SIZE" "2") dict (has "postgres" $service.uses) -}}
{{- with .logLevel }}{{ $_ := set $overrides "LOG_LEVEL" . }}{{ end -}}
name: {{ .name }}
image: {{ include "slipway.image" . }}
args: {{ toJson .args }}
env: {{- include "slipway.env" (merge (dict "overrides" $overrides) .) | trim | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- with include "slipway.caMounts" (dict "root" .root "stores" $service.uses) }}{{ trim . | nindent 2 }}{{ end }}
{{- end }}
