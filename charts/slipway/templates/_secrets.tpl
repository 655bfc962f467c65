{{/*
Secrets: given > already in the cluster > generated once.

slipway.secrets computes all of them once a render and remembers the answer in .Values: two calls must not generate
two passwords, as checksums of pods and the Secrets themselves would then tell different stories.
*/}}

{{/* The value of one key. Takes (dict "root" "secret" "key" "given" "setting"), with "rotation" only a value made for it. */}}
{{- define "slipway.secretValue" -}}
{{- $namespace := .root.Release.Namespace -}}
{{- $data := (lookup "v1" "Secret" $namespace .secret | default dict).data | default dict -}}
{{- $current := or (not (hasKey . "rotation")) (eq (get $data "rotation" | b64dec) (get . "rotation" | default "")) -}}
{{- if .given -}}
{{ .given }}
{{- else if and $current (get $data .key) -}}
{{ get $data .key | b64dec }}
{{- else if not (lookup "v1" "Secret" $namespace "") -}}
{{- /* the list of a namespace's Secrets is an object wherever there is a cluster, even when it has no items */ -}}
{{- fail (printf "%s is not given and there is no cluster to look into, so a value made up now would differ at every render: set it, name an existingSecret, or render against the cluster (helm upgrade --install, helm template --dry-run=server)." .setting) -}}
{{- else -}}
{{- /* hexadecimal, so that no word of an example can stand in it by chance: settings refuse those */ -}}
{{ randAlphaNum 48 | sha256sum }}
{{- end -}}
{{- end }}

{{/* Every Secret of the release as JSON: {name: {key: plain text}}. Takes the root. */}}
{{- define "slipway.secrets" -}}
{{- if not (hasKey .Values "computedSecrets") -}}
{{- $root := . -}}
{{- $secrets := dict -}}
{{- with .Values.postgres -}}
{{- if and .deploy (not .existingSecret) -}}
{{- $name := include "slipway.fullname" (dict "root" $root "name" "postgres") -}}
{{- $_ := set $secrets $name (dict "password" (include "slipway.secretValue" (dict "root" $root "secret" $name "key" "password" "given" .adminPassword "setting" "postgres.adminPassword"))) -}}
{{- end -}}
{{- end -}}
{{- $monitor := .Values.observability.exporters.postgres -}}
{{- if and (include "slipway.monitorWanted" .) (not $monitor.existingSecret) -}}
{{- $name := include "slipway.monitorSecret" . -}}
{{- $rotation := int .Values.postgres.rotation | toString -}}
{{- $_ := set $secrets $name (dict "rotation" $rotation "password" (include "slipway.secretValue" (dict "root" . "secret" $name "key" "password" "given" $monitor.password "setting" "observability.exporters.postgres.password" "rotation" $rotation))) -}}
{{- end -}}
{{- range $store := list "cache" "state" -}}
{{- $values := get $root.Values $store -}}
{{- $name := include "slipway.fullname" (dict "root" $root "name" $store) -}}
{{- if and $values.deploy (not $values.existingSecret) -}}
{{- $password := include "slipway.secretValue" (dict "root" $root "secret" $name "key" "password" "given" $values.password "setting" (printf "%s.password" $store)) -}}
{{- $_ := set $secrets $name (dict "password" $password "url" (printf "redis://:%s@%s:6379/0" $password $name)) -}}
{{- else if $values.url -}}
{{- $ca := ternary (printf "%sssl_ca_certs=/ca/%s/ca.crt" (ternary "&" "?" (contains "?" $values.url)) $store) "" (ne $values.caSecret.name "") -}}
{{- $_ := set $secrets $name (dict "url" (printf "%s%s" $values.url $ca)) -}}
{{- end -}}
{{- end -}}
{{- if and (include "slipway.mailPassword" .) (not .Values.mail.existingSecret) -}}
{{- $_ := set $secrets (include "slipway.mailSecret" .) (dict "password" .Values.mail.password) -}}
{{- end -}}
{{- range $name, $_ := .Values.services -}}
{{- $scope := dict "root" $root "name" $name -}}
{{- $service := include "slipway.service" $scope | fromJson -}}
{{- if and (has "postgres" $service.uses) (not $service.database.existingSecret) -}}
{{- $_ := set $secrets (include "slipway.databaseSecret" $scope) (include "slipway.databaseCredentials" $scope | fromJson) -}}
{{- end -}}
{{- range $variable, $source := $service.secretEnv -}}
{{- if not $source.existingSecret -}}
{{- $secret := include "slipway.fullname" $scope -}}
{{- $value := include "slipway.secretValue" (dict "root" $root "secret" $secret "key" $variable "given" $source.value "setting" (printf "services.%s.secretEnv.%s.value" $name $variable)) -}}
{{- $_ := set $secrets $secret (merge (dict $variable $value) (get $secrets $secret | default dict)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $_ := set .Values "computedSecrets" (toJson $secrets) -}}
{{- end -}}
{{ .Values.computedSecrets }}
{{- end }}

{{/* The Secret with a service's database logins. */}}
{{- define "slipway.databaseSecret" -}}
{{- $service := include "slipway.service" . | fromJson -}}
{{ $service.database.existingSecret | default (printf "%s-database" (include "slipway.fullname" .)) }}
{{- end }}

{{/* Which of the two logins is in use: even rotations a, odd ones b. Takes the root. */}}
{{- define "slipway.loginSlot" -}}
{{ ternary "a" "b" (eq (mod (int .Values.postgres.rotation) 2) 0) }}
{{- end }}

{{/* Passwords and URLs of the logins in use, as JSON. A new rotation means new passwords, where they are generated. */}}
{{- define "slipway.databaseCredentials" -}}
{{- $root := .root -}}
{{- $name := .name -}}
{{- $service := include "slipway.service" . | fromJson -}}
{{- $rotation := int $root.Values.postgres.rotation | toString -}}
{{- $credentials := dict "rotation" $rotation -}}
{{- range $role := list "app" "owner" -}}
{{- $given := get $service.database (printf "%sPassword" $role) -}}
{{- $setting := printf "services.%s.database.%sPassword" $name $role -}}
{{- $key := printf "%s-password" $role -}}
{{- $password := include "slipway.secretValue" (dict "root" $root "secret" (printf "%s-%s-database" $root.Release.Name $name) "key" $key "given" $given "setting" $setting "rotation" $rotation) -}}
{{- $database := include "slipway.identifier" $name -}}
{{- $ca := ternary "&sslrootcert=/ca/postgres/ca.crt" "" (ne $root.Values.postgres.caSecret.name "") -}}
{{- $url := printf "postgresql://%s_%s_%s:%s@%s:%d/%s?sslmode=%s%s" $database $role (include "slipway.loginSlot" $root) $password (include "slipway.postgresHost" $root) (int $root.Values.postgres.port) $database (include "slipway.postgresSslMode" $root) $ca -}}
{{- $_ := set $credentials $key $password -}}
{{- $_ := set $credentials (printf "%s-url" $role) $url -}}
{{- end -}}
{{ toJson $credentials }}
{{- end }}

{{/* The Secret of a store: (dict "root" $ "name" "cache"). */}}
{{- define "slipway.storeSecret" -}}
{{- $values := get .root.Values .name -}}
{{ $values.existingSecret | default (include "slipway.fullname" .) }}
{{- end }}

{{/* The Secret with the password of the login that watches Postgres. Takes the root. */}}
{{- define "slipway.monitorSecret" -}}
{{ .Values.observability.exporters.postgres.existingSecret | default (printf "%s-postgres-exporter" .Release.Name) }}
{{- end }}

{{/* The Secret with the password of the mail server. Takes the root. */}}
{{- define "slipway.mailSecret" -}}
{{ .Values.mail.existingSecret | default (include "slipway.fullname" (dict "root" . "name" "mail")) }}
{{- end }}

{{/* Not empty when that server asks for a password. Takes the root. */}}
{{- define "slipway.mailPassword" -}}
{{- if and (eq .Values.mail.mailer "smtp") .Values.mail.user }}true{{ end -}}
{{- end }}

{{/* Changes when a Secret that a service's variables come from changes, and only then. */}}
{{- define "slipway.secretsChecksum" -}}
{{- $secrets := include "slipway.secrets" .root | fromJson -}}
{{- $service := include "slipway.service" . | fromJson -}}
{{- $seen := dict "own" (get $secrets (include "slipway.fullname" .)) -}}
{{- if has "postgres" $service.uses -}}
{{- $_ := set $seen "postgres" (dig (include "slipway.databaseSecret" .) "app-url" "" $secrets) -}}
{{- /* an existing Secret's text is not seen here: the number tells that it has changed */ -}}
{{- $_ := set $seen "rotation" (int .root.Values.postgres.rotation) -}}
{{- end -}}
{{- range $store := list "cache" "state" -}}
{{- if has $store $service.uses }}{{ $_ := set $seen $store (dig (include "slipway.storeSecret" (dict "root" $.root "name" $store)) "url" "" $secrets) }}{{ end -}}
{{- end -}}
{{- if $service.mail }}{{ $_ := set $seen "mail" (dig (include "slipway.mailSecret" .root) "password" "" $secrets) }}{{ end -}}
{{ toJson $seen | sha256sum }}
{{- end }}
