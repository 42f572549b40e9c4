{{/*
What brings a job's metrics to a Pushgateway, whether regferry succeeds or fails. deploy/kubernetes' component of this
name says why it is a sidecar, and when nothing is pushed.
*/}}
{{- define "regferry.pusher" -}}
# It is told to end when regferry has ended.
- name: pushgateway
  restartPolicy: Always
  image: {{ .Values.cronjob.metrics.pushgateway.image | quote }}
  command:
    - sh
    - -euc
    - |
      family=regferry_rule_last_success_timestamp_seconds
      # Twice it may take its whole time, and both have to fit what the pod is given beyond shutdown_grace.
      ask() {
        curl --fail --silent --show-error --max-time 4 \
          --retry 4 --retry-delay 2 --retry-max-time 9 --retry-connrefused "$@"
      }
      # The last line tells that nothing is missing.
      known() {
        { ask "$PUSHGATEWAY/metrics" && echo '# EOF'; } |
          sed -n "s/^$family{instance=\"\",job=\"$PUSHGATEWAY_JOB\",rule=/$family{rule=/p; /^# EOF/p"
      }
      # A rule that failed has a zero in the file; when it succeeded before, the Pushgateway knows.
      completed() {
        while IFS= read -r line; do
          case $line in
            "$family{"*"} 0") printf '%s\n' "$1" | grep -m 1 -F "${line% 0} " || printf '%s\n' "$line" ;;
            *) printf '%s\n' "$line" ;;
          esac
        done < "$METRICS_FILE"
      }
      push() {
        grep -qs ^regferry_build_info "$METRICS_FILE" || exit 0
        known=$(known)
        case $known in
          *'# EOF') ;;
          # Zeros would replace what it knows. Its age tells that nothing was pushed.
          *) exit 1 ;;
        esac
        completed "$known" |
          ask --request PUT --data-binary @- "$PUSHGATEWAY/metrics/job/$PUSHGATEWAY_JOB"
        exit $?
      }
      trap push TERM
      while :; do
        sleep 3600 & wait $! || :
      done
  env:
    - name: PUSHGATEWAY
      value: {{ .Values.cronjob.metrics.pushgateway.url | trimSuffix "/" | quote }}
    - name: PUSHGATEWAY_JOB
      value: {{ .Values.cronjob.metrics.pushgateway.job | quote }}
    - name: METRICS_FILE
      value: {{ include "regferry.metricsFile" . | quote }}
  resources:
    requests:
      cpu: 10m
      memory: 8Mi
    limits:
      memory: 32Mi
  securityContext:
    {{- include "regferry.confined" . | nindent 4 }}
  volumeMounts:
    - name: metrics
      mountPath: {{ include "regferry.metricsFile" . | dir }}
{{- end }}
