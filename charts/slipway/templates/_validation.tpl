{{/* What the schema cannot say: combinations that cannot work end the render with a sentence that names the key. */}}
{{- define "slipway.validate" -}}
{{- $root := . -}}
{{- if gt (len .Release.Name) 20 -}}
{{- fail (printf "The release name %s has %d characters: names of its objects have room for 20." .Release.Name (len .Release.Name)) -}}
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
{{- include "slipway.validateWayIn" . -}}
{{- include "slipway.validateTokens" . -}}
{{- include "slipway.validateMail" . -}}
{{- include "slipway.validateStores" . -}}
{{- include "slipway.validatePostgres" . -}}
{{- include "slipway.validateConnections" . -}}
{{- include "slipway.validateVolumes" . -}}
{{- include "slipway.validateObservability" . -}}
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
{{- if has .name (list "postgres" "cache" "state" "roles" "test" "edge" "redirect" "secrets" "policies" "deny" "dns" "tls" "mail" "prometheus" "grafana" "jaeger" "observability" "postgres-exporter" "cache-exporter" "state-exporter") -}}
{{- fail (printf "%s: the name %s is taken by a part of the release." $key .name) -}}
{{- end -}}
{{- if regexMatch "-(migrate|database|cron|pods|test)$" .name -}}
{{- fail (printf "%s: names that end in -migrate, -database, -cron, -pods or -test are for parts of a service." $key) -}}
{{- end -}}
{{- range $cron, $_ := $service.crons -}}
{{- if hasKey $root.Values.services (printf "%s-%s" $name $cron) -}}
{{- fail (printf "%s.crons.%s: there is a service %s-%s, and both would have the same name." $key $cron $name $cron) -}}
{{- end -}}
{{- end -}}
{{- if hasKey $service.once "migrate" }}{{ fail (printf "%s.once.migrate: there is a Job of that name." $key) }}{{ end -}}
{{- range $callee := $service.calls -}}
{{- if not (hasKey $root.Values.services $callee) -}}
{{- fail (printf "%s.calls: there is no service %s; there are %s." $key $callee (keys $root.Values.services | sortAlpha | join ", ")) -}}
{{- end -}}
{{- if eq $callee $name }}{{ fail (printf "%s.calls: a service does not call itself." $key) }}{{ end -}}
{{- end -}}
{{- if and $service.reload (ne $root.Values.environment "development") -}}
{{- fail (printf "%s.reload is true, which needs environment: development; this one is %s." $key $root.Values.environment) -}}
{{- end -}}
{{- if and $service.migrate (not (has "postgres" $service.uses)) -}}
{{- fail (printf "%s.migrate is true but postgres is not among %s.uses: there is nothing to migrate." $key $key) -}}
{{- end -}}
{{- if and (eq $service.tokens "verify") (not (or (has "auth" $service.calls) $root.Values.tokens.jwksUrl)) -}}
{{- fail (printf "%s.tokens is verify, but there are no keys to verify with: set tokens.jwksUrl, or bring a service auth." $key) -}}
{{- end -}}
{{- if eq $service.autoscaling.driver "keda" -}}
{{- if not (int $service.autoscaling.targetRequestsInFlight) -}}
{{- fail (printf "%s.autoscaling: driver is keda and targetRequestsInFlight is 0: by CPU alone, driver hpa scales without KEDA." $key) -}}
{{- end -}}
{{- if not (or $service.autoscaling.prometheusUrl $root.Values.observability.bundled) -}}
{{- fail (printf "%s.autoscaling: driver is keda, prometheusUrl is empty and observability.bundled is false: say which Prometheus has the requests in flight." $key) -}}
{{- end -}}
{{- end -}}
{{- if ne $service.autoscaling.driver "none" -}}
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
{{- if or (hasKey $plain $variable) (has $variable (list "DATABASE_URL" "CACHE_URL" "STATE_URL" "SMTP_PASSWORD")) -}}
{{- fail (printf "%s.secretEnv.%s: the chart sets this variable itself." $key $variable) -}}
{{- end -}}
{{- if and $source.value $source.existingSecret -}}
{{- fail (printf "%s.secretEnv.%s: value and existingSecret exclude each other." $key $variable) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Keys outside the release: a way there, and nobody on it who could change them. Takes the root. */}}
{{- define "slipway.validateTokens" -}}
{{- $url := .Values.tokens.jwksUrl -}}
{{- $verifying := list -}}
{{- range $name, $_ := .Values.services -}}
{{- if eq (include "slipway.service" (dict "root" $ "name" $name) | fromJson).tokens "verify" }}{{ $verifying = append $verifying $name }}{{ end -}}
{{- end -}}
{{- range $name, $_ := .Values.services -}}
{{- if and $url (eq (include "slipway.service" (dict "root" $ "name" $name) | fromJson).tokens "issue") -}}
{{- fail (printf "tokens.jwksUrl is set and services.%s.tokens is issue: nobody would believe its tokens; take it out (services.%s: null), or leave tokens.jwksUrl empty." $name $name) -}}
{{- end -}}
{{- end -}}
{{- $inside := regexMatch "^http://[^/:@]+\\.svc(\\.cluster\\.local)?(:[0-9]+)?(/|$)" $url -}}
{{- if and (hasPrefix "http://" $url) (eq .Values.environment "production") (not $inside) -}}
{{- fail (printf "tokens.jwksUrl is %s: whoever stands between could put keys of his own there; outside the cluster it must begin with https:// (inside it, name the Service with its namespace: http://keys.tools.svc)." $url) -}}
{{- end -}}
{{- if and $url $verifying .Values.networkPolicies.enabled (not .Values.tokens.peers) -}}
{{- fail (printf "tokens.jwksUrl is set and tokens.peers is empty: say where the keys are, or the network policies refuse %s the way there." (join ", " $verifying)) -}}
{{- end -}}
{{- end }}

{{/* Mail that would not leave, or that others could read. Takes the root. */}}
{{- define "slipway.validateMail" -}}
{{- $mail := .Values.mail -}}
{{- $development := eq .Values.environment "development" -}}
{{- if and (eq $mail.mailer "console") (not $development) -}}
{{- fail (printf "mail.mailer is console, which writes codes that open accounts to the log and needs environment: development; this one is %s." .Values.environment) -}}
{{- end -}}
{{- if eq $mail.mailer "smtp" -}}
{{- range $key := list "host" "from" -}}
{{- if not (get $mail $key) }}{{ fail (printf "mail.mailer is smtp and mail.%s is empty." $key) }}{{ end -}}
{{- end -}}
{{- if and (eq $mail.tls "none") (not $development) -}}
{{- fail (printf "mail.tls is none, which sends codes that open accounts in the clear and needs environment: development; this one is %s." .Values.environment) -}}
{{- end -}}
{{- if and .Values.networkPolicies.enabled (not $mail.peers) -}}
{{- fail "mail.mailer is smtp and mail.peers is empty: say where the server is, or the network policies keep every mail inside." -}}
{{- end -}}
{{- if and $mail.user (not (or $mail.password $mail.existingSecret)) -}}
{{- fail "mail.user is set, so a password is needed: set mail.password or mail.existingSecret." -}}
{{- end -}}
{{- if and $mail.password $mail.existingSecret -}}
{{- fail "mail.password and mail.existingSecret exclude each other." -}}
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
{{- if and $values.deploy (ne (int $values.port) (ternary 5432 6379 (eq $store "postgres"))) -}}
{{- fail (printf "%s.port is %d and %s.deploy is true: the release's own server keeps to %d; another port is for an external one." $store (int $values.port) $store (ternary 5432 6379 (eq $store "postgres"))) -}}
{{- end -}}
{{- if and $values.deploy $values.caSecret.name -}}
{{- fail (printf "%s.caSecret.name is set and %s.deploy is true: the release's own server speaks without TLS, inside the network policies." $store $store) -}}
{{- end -}}
{{- if ne $store "postgres" -}}
{{- if and $values.url $values.existingSecret -}}
{{- fail (printf "%s.url and %s.existingSecret exclude each other: the Secret brings the URL under its key url." $store $store) -}}
{{- end -}}
{{- if and $values.url (ne (int $values.port) 6379) -}}
{{- fail (printf "%s.port is %d and %s.url is set: put the port into the URL." $store (int $values.port) $store) -}}
{{- end -}}
{{- if and $values.url $values.caSecret.name (not (hasPrefix "rediss://" $values.url)) -}}
{{- fail (printf "%s.caSecret.name is set but %s.url does not begin with rediss://: there is no certificate to check." $store $store) -}}
{{- end -}}
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

{{/* Takes the root. */}}
{{- define "slipway.validatePostgres" -}}
{{- $postgres := .Values.postgres -}}
{{- range $parameter := list "max_connections" "listen_addresses" "port" "unix_socket_directories" "data_directory" "config_file" "hba_file" "ident_file" -}}
{{- if hasKey $postgres.parameters $parameter -}}
{{- fail (printf "postgres.parameters.%s: the chart sets this one itself; for max_connections there is postgres.maxConnections." $parameter) -}}
{{- end -}}
{{- end -}}
{{- if and $postgres.deploy (not (has $postgres.sslMode (list "" "disable"))) -}}
{{- fail (printf "postgres.sslMode is %s and postgres.deploy is true: the release's own server speaks without TLS, inside the network policies." $postgres.sslMode) -}}
{{- end -}}
{{- $verifies := hasPrefix "verify-" $postgres.sslMode -}}
{{- if and $verifies (not $postgres.caSecret.name) -}}
{{- fail (printf "postgres.sslMode is %s and postgres.caSecret.name is empty: name the Secret with the authority to verify against." $postgres.sslMode) -}}
{{- end -}}
{{- if and $postgres.caSecret.name (not $verifies) -}}
{{- fail (printf "postgres.caSecret.name is set and postgres.sslMode is %q: it is looked at with verify-ca or verify-full." $postgres.sslMode) -}}
{{- end -}}
{{- $before := lookup "v1" "ConfigMap" .Release.Namespace (printf "%s-roles" .Release.Name) | default dict -}}
{{- $rotation := dig "metadata" "annotations" "slipway/rotation" (toString (int $postgres.rotation)) $before | int -}}
{{- $step := sub (int $postgres.rotation) $rotation -}}
{{- if or (gt (int $step) 1) (lt (int $step) -1) -}}
{{- fail (printf "postgres.rotation is %d and was %d: a rotation switches between two logins, so go one by one, and let the pods roll in between." (int $postgres.rotation) $rotation) -}}
{{- end -}}
{{- end }}

{{/* The size in a StatefulSet cannot be changed, and Kubernetes says so without saying what to do. Takes the root. */}}
{{- define "slipway.validateVolumes" -}}
{{- range $store := list "postgres" "state" -}}
{{- $name := include "slipway.fullname" (dict "root" $ "name" $store) -}}
{{- $values := get $.Values $store -}}
{{- range dig "spec" "volumeClaimTemplates" list (lookup "apps/v1" "StatefulSet" $.Release.Namespace $name | default dict) -}}
{{- $size := .spec.resources.requests.storage -}}
{{- if and $values.deploy (ne (include "slipway.mebibytes" $size) (include "slipway.mebibytes" $values.storage.size)) -}}
{{- fail (printf "%s.storage.size is %s and the volume has %s: grow the claim data-%s-0 first, then delete the StatefulSet %s with --cascade=orphan and upgrade again (docs/operations.md, A larger volume); a volume does not shrink." $store $values.storage.size $size $name $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* 1Gi and 1024Mi are the same, and the cluster writes the shorter one. */}}
{{- define "slipway.mebibytes" -}}
{{- $unit := regexFind "[A-Za-z]+$" . -}}
{{ mul (trimSuffix $unit . | int) (get (dict "Mi" 1 "Gi" 1024 "Ti" 1048576 "Pi" 1073741824) $unit | default 0) }}
{{- end }}

{{/*
Pools that outgrow Postgres show at the worst moment, so they are counted before. Every service counts twice: while it
rolls, pods that drain still hold the connections that their successors open. Takes the root.
*/}}
{{- define "slipway.validateConnections" -}}
{{- $root := . -}}
{{- $total := 4 -}}
{{- $terms := list "3 kept for the administrator" "1 of the roles Job" -}}
{{- if include "slipway.monitorWanted" . -}}
{{- $total = add $total 3 -}}
{{- $terms = append $terms "3 of the exporter" -}}
{{- end -}}
{{- range $name := include "slipway.usersOf" (dict "root" . "name" "postgres") | fromJsonArray -}}
{{- $scope := dict "root" $root "name" $name -}}
{{- $service := include "slipway.service" $scope | fromJson -}}
{{- $pods := include "slipway.maxPods" $scope | int -}}
{{- $pool := int $service.database.poolSize | add 1 -}}{{/* one beside the pool asks whether Postgres is there */}}
{{- $total = add $total (mul 2 $pods $pool) -}}
{{- $terms = append $terms (printf "2 × %d pods × %d of %s" $pods $pool $name) -}}
{{- if $service.migrate -}}
{{- $total = add $total 2 -}}
{{- $terms = append $terms (printf "2 of its migration") -}}
{{- end -}}
{{- with add (len $service.crons) (len $service.once) -}}
{{- $total = add $total (mul 2 .) -}}
{{- $terms = append $terms (printf "%d of its commands" (mul 2 .)) -}}
{{- end -}}
{{- end -}}
{{- if gt (int $total) (int .Values.postgres.maxConnections) -}}
{{- fail (printf "postgres.maxConnections is %d and the release can need %d (%s; twice, because pods that drain still hold theirs): raise it, or lower database.poolSize or the replicas." (int .Values.postgres.maxConnections) (int $total) (join ", " $terms)) -}}
{{- end -}}
{{- end }}
