{{/*
What brings a job's metrics to a Pushgateway, whether regferry succeeds or fails. deploy/kubernetes' component of this
name says why it is two containers, and when nothing is pushed.
*/}}
{{- define "regferry.pushers" -}}
# A rule that fails shows the time of its last success, which this pod does not know: the Pushgateway does.
- name: last-successes
  {{- include "regferry.pusher" . | nindent 2 }}
  command:
    - sh
    - -euc
    - |
      family=regferry_rule_last_success_timestamp_seconds
      # One that does not answer stops no mirror.
      curl --fail --silent --show-error --max-time 8 --retry 2 "$PUSHGATEWAY/metrics" |
        sed -n "s/^$family{instance=\"\",job=\"$PUSHGATEWAY_JOB\",rule=/$family{rule=/p" > "$METRICS_FILE"
# It is told to end when regferry has ended.
- name: pushgateway
  {{- include "regferry.pusher" . | nindent 2 }}
  restartPolicy: Always
  command:
    - sh
    - -euc
    - |
      push() {
        grep -qs ^regferry_build_info "$METRICS_FILE" || exit 0
        curl --fail --silent --show-error --max-time 8 --retry 2 \
          --upload-file "$METRICS_FILE" "$PUSHGATEWAY/metrics/job/$PUSHGATEWAY_JOB"
        exit
      }
      trap push TERM
      while :; do
        sleep 3600 & wait $! || :
      done
{{- end }}

{{- define "regferry.pusher" -}}
image: {{ .Values.cronjob.metrics.pushgateway.image }}
env:
  - name: PUSHGATEWAY
    value: {{ .Values.cronjob.metrics.pushgateway.url | trimSuffix "/" | quote }}
  - name: PUSHGATEWAY_JOB
    value: {{ .Values.cronjob.metrics.pushgateway.job | quote }}
  - name: METRICS_FILE
    value: {{ include "regferry.metricsFile" . }}
resources:
  requests:
    cpu: 10m
    memory: 8Mi
  limits:
    memory: 32Mi
securityContext:
  {{- include "regferry.confined" . | nindent 2 }}
volumeMounts:
  - name: metrics
    mountPath: {{ include "regferry.metricsFile" . | dir }}
{{- end }}
