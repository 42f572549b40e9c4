{{- define "regferry.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The release's name, if it says regferry already; CronJobs may have 52 characters. */}}
{{- define "regferry.fullname" -}}
{{- $name := include "regferry.name" . }}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- .Values.fullnameOverride | default $full | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "regferry.selectorLabels" -}}
app.kubernetes.io/name: {{ include "regferry.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: {{ eq .Values.mode "cronjob" | ternary "job" "daemon" }}
{{- end }}

{{- define "regferry.labels" -}}
{{ include "regferry.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" | quote }}
{{- end }}

{{- define "regferry.configMap" -}}
{{- if .Values.existingConfigMap }}
{{- .Values.existingConfigMap }}
{{- else }}
{{- if not .Values.config }}
{{- fail "config or existingConfigMap: one of them has to say what is mirrored" }}
{{- end }}
{{- include "regferry.fullname" . }}
{{- end }}
{{- end }}

{{- define "regferry.image" -}}
{{- $repository := required "image.repository: name the image that you have built (make image) and pushed" .Values.image.repository }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{/*
Whether jobs keep their metrics, and where they write them. The alerts know the files of a textfile collector by the
program's name in theirs.
*/}}
{{- define "regferry.metricsFile" -}}
{{- $metrics := .Values.cronjob.metrics }}
{{- if and (eq .Values.mode "cronjob") (or $metrics.textfile.hostPath $metrics.pushgateway.url) -}}
{{- $name := include "regferry.fullname" . -}}
/var/lib/regferry/metrics/{{ contains "regferry" $name | ternary $name (printf "regferry-%s" $name) }}.prom
{{- end }}
{{- end }}

{{- define "regferry.pushes" -}}
{{- if and (eq .Values.mode "cronjob") .Values.cronjob.metrics.pushgateway.url }}true{{ end }}
{{- end }}

{{/* A cluster's configuration says so, as far as it is ours to read. */}}
{{- define "regferry.isCluster" -}}
{{- if and (eq .Values.mode "deployment") .Values.cluster.enabled }}
{{- if and .Values.config (not (contains "[cluster]" .Values.config)) }}
{{- fail "cluster.enabled: config has no [cluster], and each replica would do everything by itself" }}
{{- end -}}
true
{{- end }}
{{- end }}

{{- define "regferry.hasNats" -}}
{{- if and (include "regferry.isCluster" .) .Values.cluster.nats.enabled }}true{{ end }}
{{- end }}

{{- define "regferry.natsName" -}}
{{ include "regferry.fullname" . | trunc 47 | trimSuffix "-" }}-nats
{{- end }}

{{- define "regferry.natsSelectorLabels" -}}
app.kubernetes.io/name: nats
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "regferry.natsLabels" -}}
{{ include "regferry.natsSelectorLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" | quote }}
{{- end }}
