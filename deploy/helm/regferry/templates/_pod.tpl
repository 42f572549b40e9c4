{{/* What Deployment and CronJob have in common, which is nearly all. */}}
{{- define "regferry.pod" -}}
metadata:
  labels:
    {{- include "regferry.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- if eq .Values.mode "cronjob" }}
  restartPolicy: Never
  {{- end }}
  automountServiceAccountToken: false
  # A Service's variables would be REGFERRY_…, as the program's own are.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add .Values.terminationGracePeriodSeconds (include "regferry.pushes" . | empty | ternary 0 30) }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    seccompProfile:
      type: RuntimeDefault
  {{- if include "regferry.pushes" . }}
  initContainers:
    {{- include "regferry.pusher" . | nindent 4 }}
  {{- end }}
  containers:
    - name: regferry
      image: {{ include "regferry.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - {{ eq .Values.mode "cronjob" | ternary "sync" "serve" }}
        - --config=/etc/regferry/regferry.toml
        {{- with include "regferry.metricsFile" . }}
        - {{ printf "--metrics-file=%s" . | quote }}
        {{- end }}
        {{- with .Values.extraArgs }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      env:
        {{- if eq .Values.mode "deployment" }}
        - name: REGFERRY_LISTEN
          value: 0.0.0.0:9464
        {{- end }}
        - name: DOCKER_CONFIG
          value: /run/secrets/docker
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- if eq .Values.mode "deployment" }}
      ports:
        - name: metrics
          containerPort: 9464
      startupProbe:
        httpGet:
          path: /livez
          port: metrics
        periodSeconds: 2
        failureThreshold: 30
      livenessProbe:
        httpGet:
          path: /livez
          port: metrics
        periodSeconds: 20
        timeoutSeconds: 5
      readinessProbe:
        httpGet:
          path: /readyz
          port: metrics
        periodSeconds: 10
        timeoutSeconds: 5
      {{- end }}
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "regferry.confined" . | nindent 8 }}
      volumeMounts:
        # A folder, never a subPath: what is mounted by subPath does not change until the pod ends.
        - name: config
          mountPath: /etc/regferry
          readOnly: true
        {{- if .Values.passwordsSecret }}
        - name: passwords
          mountPath: /run/secrets/regferry
          readOnly: true
        {{- end }}
        {{- if .Values.dockerConfigSecret }}
        - name: docker-config
          mountPath: /run/secrets/docker
          readOnly: true
        {{- end }}
        {{- if include "regferry.metricsFile" . }}
        - name: metrics
          mountPath: {{ include "regferry.metricsFile" . | dir }}
        {{- end }}
        {{- if .Values.stateClaim }}
        - name: state
          mountPath: /var/lib/regferry
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "regferry.configMap" . | quote }}
    {{- with .Values.passwordsSecret }}
    - name: passwords
      secret:
        secretName: {{ . | quote }}
        defaultMode: 0440
    {{- end }}
    {{- with .Values.dockerConfigSecret }}
    - name: docker-config
      secret:
        secretName: {{ . | quote }}
        defaultMode: 0440
        items:
          - key: .dockerconfigjson
            path: config.json
    {{- end }}
    {{- if include "regferry.metricsFile" . }}
    - name: metrics
      {{- with .Values.cronjob.metrics.textfile.hostPath }}
      hostPath:
        path: {{ . | quote }}
        # It is not made here: it would be root's, and regferry could not write to it.
        type: Directory
      {{- else }}
      emptyDir:
        sizeLimit: 16Mi
      {{- end }}
    {{- end }}
    {{- with .Values.stateClaim }}
    - name: state
      persistentVolumeClaim:
        claimName: {{ . | quote }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if include "regferry.isCluster" . }}
  # Apart from each other, where there are nodes enough.
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "regferry.selectorLabels" . | nindent 10 }}
  {{- end }}
{{- end }}

{{- define "regferry.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
{{- end }}
