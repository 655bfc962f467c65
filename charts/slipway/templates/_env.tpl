{{/* The variables of a service's container: names are the fields of its settings in capitals. */}}

{{/* Plain variables as a JSON map, without what the entry's own `env` adds. */}}
{{- define "slipway.plainEnv" -}}
{{- $root := .root -}}
{{- $service := include "slipway.service" . | fromJson -}}
{{- $env := dict
      "ENVIRONMENT" $root.Values.environment
      "LOG_LEVEL" $root.Values.logLevel
      "DRAIN_SECONDS" (int $service.drainSeconds | toString)
      "SHUTDOWN_SECONDS" (int $service.shutdownSeconds | toString) -}}
{{- with $root.Values.trustedProxies }}{{ $_ := set $env "TRUSTED_PROXIES" (join "," .) }}{{ end -}}
{{- if ne $service.tokens "none" -}}
{{- $_ := set $env "ISSUER" (include "slipway.issuer" $root) -}}
{{- $_ := set $env "AUDIENCE" $root.Values.tokens.audience -}}
{{- end -}}
{{- if and (eq $service.tokens "verify") $root.Values.tokens.jwksUrl }}{{ $_ := set $env "JWKS_URL" $root.Values.tokens.jwksUrl }}{{ end -}}
{{- $calls := $service.calls -}}
{{- if eq .name "gateway" -}}{{/* which has the others from its routes */}}
{{- $calls = ternary (list "auth") list (has "auth" $calls) -}}
{{- $_ := set $env "ROUTES_FILE" "/files/routes.json" -}}
{{- $_ := set $env "LIMIT_REPLICAS" (include "slipway.minPods" .) -}}
{{- end -}}
{{- range $callee := $calls -}}
{{- $variable := printf "%s_URL" (include "slipway.identifier" $callee | upper) -}}
{{- $_ := set $env $variable (printf "http://%s:8000" (include "slipway.fullname" (dict "root" $root "name" $callee))) -}}
{{- end -}}
{{- if has "postgres" $service.uses }}{{ $_ := set $env "DATABASE_POOL_SIZE" (int $service.database.poolSize | toString) }}{{ end -}}
{{- if $service.mail -}}
{{- $mail := $root.Values.mail -}}
{{- $_ := set $env "MAILER" $mail.mailer -}}
{{- if eq $mail.mailer "smtp" -}}
{{- $_ := set $env "SMTP_HOST" $mail.host -}}
{{- $_ := set $env "SMTP_PORT" (int $mail.port | toString) -}}
{{- $_ := set $env "SMTP_TLS" $mail.tls -}}
{{- $_ := set $env "SMTP_USER" $mail.user -}}
{{- $_ := set $env "MAIL_FROM" $mail.from -}}
{{- end -}}
{{- end -}}
{{- with $root.Values.tracing -}}
{{- if .endpoint -}}
{{- $_ := set $env "OTEL_EXPORTER_OTLP_ENDPOINT" .endpoint -}}
{{- $_ := set $env "OTEL_SERVICE_NAME" $.name -}}
{{- /* callers from outside choose a trace's id, and not whether it is worth keeping */ -}}
{{- $_ := set $env "OTEL_TRACES_SAMPLER" (ternary "traceidratio" "parentbased_traceidratio" (and $service.public (not .trustCallers))) -}}
{{- $_ := set $env "OTEL_TRACES_SAMPLER_ARG" .ratio -}}
{{- end -}}
{{- end -}}
{{ toJson $env }}
{{- end }}

{{/* Variables from Secrets as a JSON map {variable: {secret, key}}. */}}
{{- define "slipway.secretEnv" -}}
{{- $root := .root -}}
{{- $service := include "slipway.service" . | fromJson -}}
{{- $env := dict -}}
{{- if has "postgres" $service.uses }}{{ $_ := set $env "DATABASE_URL" (dict "secret" (include "slipway.databaseSecret" .) "key" "app-url") }}{{ end -}}
{{- range $store := list "cache" "state" -}}
{{- if has $store $service.uses -}}
{{- $_ := set $env (printf "%s_URL" (upper $store)) (dict "secret" (include "slipway.storeSecret" (dict "root" $root "name" $store)) "key" "url") -}}
{{- end -}}
{{- end -}}
{{- if and $service.mail (include "slipway.mailPassword" $root) }}{{ $_ := set $env "SMTP_PASSWORD" (dict "secret" (include "slipway.mailSecret" $root) "key" "password") }}{{ end -}}
{{- range $variable, $source := $service.secretEnv -}}
{{- $_ := set $env $variable (dict "secret" ($source.existingSecret | default (include "slipway.fullname" $)) "key" ($source.key | default $variable)) -}}
{{- end -}}
{{ toJson $env }}
{{- end }}

{{/* The whole list, in alphabetical order; `overrides` of the scope win. */}}
{{- define "slipway.env" -}}
{{- $service := include "slipway.service" . | fromJson -}}
{{- range $variable, $value := merge (.overrides | default dict) (include "slipway.plainEnv" . | fromJson) $service.env }}
- {name: {{ $variable }}, value: {{ $value | quote }}}
{{- end }}
{{- range $variable, $source := include "slipway.secretEnv" . | fromJson }}
- name: {{ $variable }}
  valueFrom: {secretKeyRef: {name: {{ $source.secret }}, key: {{ $source.key }}}}
{{- end }}
{{- end }}
