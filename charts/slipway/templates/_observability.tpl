{{/* What watches the release: its parts, the rules with their windows, what Prometheus and Grafana read. */}}

{{/*
The parts that are on, as JSON by name: image, port, args, env, secrets (variable: the Secret whose password it is), resources, size of /data, in
`calls` the components and ports that it asks, and in `api` the ports of the Kubernetes API and its nodes, to which it gets a token. Takes the root.
*/}}
{{- define "slipway.watchers" -}}
{{- $root := . -}}
{{- $on := .Values.observability -}}
{{- $parts := dict -}}
{{- $exporters := list -}}
{{- if $on.exporters.enabled -}}
{{- if .Values.postgres.deploy -}}
{{- $exporters = append $exporters (dict "name" "postgres-exporter" "port" 9187) -}}
{{- $env := dict "DATA_SOURCE_URI" (printf "%s:5432/postgres?sslmode=disable" (include "slipway.postgresHost" .)) "DATA_SOURCE_USER" "monitor" -}}
{{- $_ := set $parts "postgres-exporter" (merge (dict "port" 9187 "args" (list "--web.listen-address=:9187") "env" $env "secrets" (dict "DATA_SOURCE_PASS" (include "slipway.monitorSecret" .)) "calls" (dict "postgres" 5432) "ready" "/" "size" "") $on.exporters.postgres) -}}
{{- end -}}
{{- range $store := list "cache" "state" -}}
{{- if (get $root.Values $store).deploy -}}
{{- $name := printf "%s-exporter" $store -}}
{{- $exporters = append $exporters (dict "name" $name "port" 9121) -}}
{{- $env := dict "REDIS_ADDR" (printf "redis://%s-%s:6379" $root.Release.Name $store) -}}
{{- $_ := set $parts $name (merge (dict "port" 9121 "args" (list "-web.listen-address=:9121") "env" $env "secrets" (dict "REDIS_PASSWORD" (include "slipway.storeSecret" (dict "root" $root "name" $store))) "calls" (dict $store 6379) "ready" "/" "size" "") $on.exporters.redis) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $on.bundled -}}
{{- $calls := dict -}}
{{- range $name, $_ := .Values.services }}{{ $_ := set $calls $name 9000 }}{{ end -}}
{{- range $exporters }}{{ $_ := set $calls .name .port }}{{ end -}}
{{- if $on.kubeStateMetrics.enabled -}}
{{- $_ := set $calls "kube-state-metrics" 8080 -}}
{{- /* an empty host is every address, also where a kernel knows no IPv6 */ -}}
{{- $args := list "--host=" "--port=8080" "--telemetry-host=" "--telemetry-port=8081" (printf "--namespaces=%s" .Release.Namespace) (printf "--resources=%s" (include "slipway.stateResources" . | fromJson | values | sortAlpha | join ",")) -}}
{{- $_ := set $parts "kube-state-metrics" (merge (dict "port" 8080 "more" (list 8081) "args" $args "env" dict "secrets" dict "calls" dict "api" (list 443 6443) "ready" "/readyz" "readyPort" "port-8081" "size" "") $on.kubeStateMetrics) -}}
{{- end -}}
{{- $args := list "--config.file=/config/prometheus.yaml" "--storage.tsdb.path=/data" (printf "--storage.tsdb.retention.time=%s" $on.prometheus.retention) "--enable-feature=exemplar-storage" -}}
{{- $_ := set $parts "prometheus" (merge (dict "port" 9090 "args" $args "env" dict "secrets" dict "calls" $calls "api" (ternary (list 443 6443 10250) list $on.prometheus.kubelet) "ready" "/-/ready") $on.prometheus) -}}
{{- end -}}
{{- if $on.grafana.enabled -}}
{{- $env := dict "GF_AUTH_ANONYMOUS_ENABLED" "true" "GF_AUTH_DISABLE_LOGIN_FORM" "true" "GF_ANALYTICS_REPORTING_ENABLED" "false" "GF_ANALYTICS_CHECK_FOR_UPDATES" "false" "GF_PATHS_DATA" "/data" "GF_PATHS_PROVISIONING" "/config/provisioning" -}}
{{- $_ := set $parts "grafana" (merge (dict "port" 3000 "args" list "env" $env "secrets" dict "calls" (dict "prometheus" 9090) "ready" "/api/health") $on.grafana) -}}
{{- end -}}
{{- if $on.jaeger.enabled -}}
{{- $_ := set $parts "jaeger" (merge (dict "port" 16686 "more" (list 4318) "args" list "env" dict "secrets" dict "calls" dict "ready" "/" "size" "") $on.jaeger) -}}
{{- end -}}
{{ toJson $parts }}
{{- end }}

{{/* Prometheus' own configuration: every pod behind a headless Service, with the labels that dashboards ask for. Takes the root. */}}
{{- define "slipway.scrapes" -}}
{{- $root := . -}}
{{- $prometheus := get (include "slipway.watchers" . | fromJson) "prometheus" -}}
global:
  scrape_interval: {{ int .Values.observability.scrapeSeconds }}s
  scrape_timeout: {{ min 10 (int .Values.observability.scrapeSeconds) }}s
  evaluation_interval: {{ int .Values.observability.scrapeSeconds }}s
rule_files: [/config/rules.yaml]
scrape_configs:
{{- range $name, $port := $prometheus.calls }}
  {{- if eq $name "kube-state-metrics" }}
  # namespace and pod are those that a series is about; the job is called as public dashboards and kube-prometheus-stack call it
  - job_name: {{ $name }}
    honor_labels: true
  {{- else }}
  - job_name: {{ $root.Release.Name }}-{{ $name }}
  {{- end }}
    dns_sd_configs:
      - names: [{{ printf "%s-scrape.%s.svc.%s." (include "slipway.fullname" (dict "root" $root "name" $name)) $root.Release.Namespace $root.Values.clusterDomain }}]
        type: A
        port: {{ int $port }}
        refresh_interval: 10s
    relabel_configs:
      - {target_label: namespace, replacement: {{ $root.Release.Namespace }}}
      - {target_label: service, replacement: {{ trimSuffix "-exporter" $name }}}
      # DNS knows no names of pods: their addresses stand for them
      - {source_labels: [__address__], regex: '(.+):\d+', target_label: pod}
{{- end }}
{{- if .Values.observability.prometheus.kubelet }}
{{- include "slipway.kubeletScrapes" . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
What the nodes say of the release's pods. CPU and memory of containers are in both of the kubelet's documents; of the larger
one only what the other does not have is kept. Takes the root.
*/}}
{{- define "slipway.kubeletScrapes" -}}
{{- range $path, $metrics := dict "resource" "container_(cpu_usage_seconds_total|memory_working_set_bytes|start_time_seconds)" "cadvisor" "container_(cpu_cfs_.*|spec_memory_limit_bytes|network_(receive|transmit)_bytes_total)" "" "kubelet_volume_stats_.*" }}
- job_name: kubelet{{ with $path }}-{{ . }}{{ end }}
  scheme: https
  metrics_path: /metrics{{ with $path }}/{{ . }}{{ end }}
  # a kubelet's certificate is often one of its own; what the token opens is metrics alone
  tls_config: {insecure_skip_verify: true}
  authorization: {credentials_file: /var/run/secrets/kubernetes.io/serviceaccount/token}
  kubernetes_sd_configs: [{role: node}]
  relabel_configs:
    - {source_labels: [__meta_kubernetes_node_name], target_label: node}
  metric_relabel_configs:
    - {source_labels: [namespace], regex: {{ $.Release.Namespace }}, action: keep}
    - {source_labels: [__name__], regex: '{{ $metrics }}', action: keep}
{{- end }}
{{- end }}

{{/* Kinds that dashboards and alerts ask kube-state-metrics about, as JSON by their API group. */}}
{{- define "slipway.stateResources" -}}
{"": "pods", "apps": "deployments", "autoscaling": "horizontalpodautoscalers", "batch": "jobs"}
{{- end }}

{{/* The rules, with this release's objectives and with windows shorter by observability.alerts.windowDivisor. Takes the root. */}}
{{- define "slipway.rules" -}}
{{- $root := . -}}
{{- $alerts := .Values.observability.alerts -}}
{{- $text := .Files.Get "files/observability/rules.yaml" | replace "__RUNBOOKS__" $alerts.runbooks -}}
{{- range $token := regexFindAll "__[wf][0-9]+__" $text -1 | uniq -}}
{{- $seconds := div (regexFind "[0-9]+" $token | int) (int $alerts.windowDivisor) -}}
{{- /* a rate needs some scrapes */ -}}
{{- if hasPrefix "__w" $token }}{{ $seconds = max $seconds (mul 4 (int $root.Values.observability.scrapeSeconds)) }}{{ end -}}
{{- $text = replace $token (printf "%ds" (int $seconds)) $text -}}
{{- end -}}
{{- $objectives := list -}}
{{- range $name, $_ := .Values.services -}}
{{- $service := include "slipway.service" (dict "root" $root "name" $name) | fromJson -}}
{{- $objectives = append $objectives (dict "record" "slipway:slo_objective:ratio" "expr" (printf "vector(%v)" $service.objective) "labels" (dict "namespace" $root.Release.Namespace "service" $name)) -}}
{{- end -}}
{{- $groups := prepend (fromYaml $text).groups (dict "name" "slipway-slo-objectives" "rules" $objectives) -}}
{{ toYaml (dict "groups" $groups) }}
{{- end }}

{{/* What a part reads from /config, as a ConfigMap's data; empty where it reads nothing: (dict "root" "name"). */}}
{{- define "slipway.watcherFiles" -}}
{{- if eq .name "prometheus" -}}
prometheus.yaml: |
  {{- include "slipway.scrapes" .root | nindent 2 }}
rules.yaml: |
  {{- include "slipway.rules" .root | nindent 2 }}
{{- else if eq .name "grafana" -}}
datasources.yaml: |
  apiVersion: 1
  datasources:
    - {name: Prometheus, uid: prometheus, type: prometheus, access: proxy, url: 'http://{{ .root.Release.Name }}-prometheus:9090', isDefault: true}
dashboards.yaml: |
  apiVersion: 1
  providers:
    - {name: slipway, type: file, options: {path: /dashboards}}
{{- end -}}
{{- end }}

{{/* Not empty when a service is scaled by KEDA from the bundled Prometheus. Takes the root. */}}
{{- define "slipway.kedaAsksBundled" -}}
{{- range $name, $_ := .Values.services -}}
{{- $scaling := (include "slipway.service" (dict "root" $ "name" $name) | fromJson).autoscaling -}}
{{- if and (eq $scaling.driver "keda") (not $scaling.prometheusUrl) }}true{{ end -}}
{{- end -}}
{{- end }}

{{/* Parts that need one another. Takes the root. */}}
{{- define "slipway.validateObservability" -}}
{{- $on := .Values.observability -}}
{{- if and $on.exporters.postgres.password $on.exporters.postgres.existingSecret -}}
{{- fail "observability.exporters.postgres.password and observability.exporters.postgres.existingSecret exclude each other." -}}
{{- end -}}
{{- if and $on.kubeStateMetrics.enabled (not $on.bundled) -}}
{{- fail "observability.kubeStateMetrics.enabled is true and observability.bundled is false: it is asked by the release's own Prometheus alone; kube-prometheus-stack brings one for the whole cluster." -}}
{{- end -}}
{{- if and $on.grafana.enabled (not $on.bundled) -}}
{{- fail "observability.grafana.enabled is true and observability.bundled is false: this Grafana shows the release's own Prometheus; for another one set observability.dashboards." -}}
{{- end -}}
{{- end }}
