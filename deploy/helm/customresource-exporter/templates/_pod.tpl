{{/* The pod, the same in a StatefulSet and in a Deployment. */}}

{{- define "customresource-exporter.pod" -}}
metadata:
  labels:
    {{- merge (include "customresource-exporter.selectorLabels" . | fromYaml) .Values.podLabels .Values.commonLabels | toYaml | nindent 4 }}
  {{- $annotations := merge (dict) .Values.podAnnotations .Values.commonAnnotations }}
  {{- if and .Values.restartOnConfigChange (not .Values.existingConfigMap) }}
  {{- $annotations = merge (dict "checksum/config" (toYaml .Values.config | sha256sum)) $annotations }}
  {{- end }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "customresource-exporter.serviceAccountName" . }}
  automountServiceAccountToken: true
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with concat .Values.global.imagePullSecrets .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  {{- if not (kindIs "invalid" .Values.hostUsers) }}
  hostUsers: {{ .Values.hostUsers }}
  {{- end }}
  {{- range $key := list "priorityClassName" "runtimeClassName" "dnsPolicy" }}
  {{- with index $.Values $key }}
  {{ $key }}: {{ . }}
  {{- end }}
  {{- end }}
  {{- range $key := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "dnsConfig" "hostAliases" "initContainers" }}
  {{- with index $.Values $key }}
  {{ $key }}:
    {{- tpl (toYaml .) $ | nindent 4 }}
  {{- end }}
  {{- end }}
  containers:
    - name: exporter
      image: {{ include "customresource-exporter.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - run
        - --data-dir=/data
        - --config=/etc/customresource-exporter/config/config.yaml
        - --web.listen-address=:{{ .Values.web.port }}
        - --log.level={{ .Values.log.level }}
        - --log.format={{ .Values.log.format }}
        {{- if include "customresource-exporter.webVolume" . }}
        - --web.config.file=/etc/customresource-exporter/web/{{ .Values.web.config.key }}
        {{- end }}
        {{- if .Values.web.enableLifecycle }}
        - --web.enable-lifecycle
        {{- end }}
        {{- with .Values.extraArgs }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with concat (include "customresource-exporter.otlpEnv" . | fromYamlArray) .Values.extraEnv }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: metrics
          containerPort: {{ .Values.web.port }}
          protocol: TCP
      {{- range $probe, $path := dict "livenessProbe" "/healthz" "readinessProbe" "/readyz" "startupProbe" "/healthz" }}
      {{- with index $.Values $probe }}
      {{ $probe }}:
        {{- if and (include "customresource-exporter.webVolume" $) (eq $.Values.web.config.probes "tcp") }}
        tcpSocket:
          port: metrics
        {{- else }}
        httpGet:
          path: {{ $path }}
          port: metrics
          scheme: {{ include "customresource-exporter.scheme" $ | upper }}
        {{- end }}
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      volumeMounts:
        - name: data
          mountPath: /data
        - name: config
          mountPath: /etc/customresource-exporter/config
          readOnly: true
        - name: tmp
          mountPath: /tmp
        {{- if include "customresource-exporter.webVolume" . }}
        - name: web
          mountPath: /etc/customresource-exporter/web
          readOnly: true
        {{- end }}
        {{- if .Values.otlp.tlsSecret.name }}
        - name: otlp-tls
          mountPath: /etc/customresource-exporter/otlp
          readOnly: true
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with .Values.extraContainers }}
    {{- tpl (toYaml .) $ | nindent 4 }}
    {{- end }}
  volumes:
    # Directories, and no single files (subPath): only so does a change reach the pod.
    - name: config
      configMap:
        name: {{ include "customresource-exporter.configMapName" . }}
    {{- with include "customresource-exporter.webVolume" . }}
    - name: web
      {{- . | nindent 6 }}
    {{- end }}
    {{- with .Values.otlp.tlsSecret.name }}
    - name: otlp-tls
      secret:
        secretName: {{ . }}
        defaultMode: 0440
    {{- end }}
    - name: tmp
      emptyDir:
        sizeLimit: 256Mi
    {{- if not .Values.persistence.enabled }}
    - name: data
      emptyDir:
        sizeLimit: {{ .Values.persistence.emptyDirSizeLimit }}
    {{- else if .Values.persistence.existingClaim }}
    - name: data
      persistentVolumeClaim:
        claimName: {{ .Values.persistence.existingClaim }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- tpl (toYaml .) $ | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "customresource-exporter.webVolume" -}}
{{- with .Values.web.config -}}
{{- if .secretName -}}
secret:
  secretName: {{ .secretName }}
  defaultMode: 0440
{{- else if .configMapName -}}
configMap:
  name: {{ .configMapName }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What is said to OTLP by environment variables, as a list. */}}
{{- define "customresource-exporter.otlpEnv" -}}
{{- $otlp := .Values.otlp -}}
{{- if not $otlp.endpoint -}}
[]
{{- else -}}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ $otlp.endpoint | quote }}
{{- with $otlp.protocol }}
- name: OTEL_EXPORTER_OTLP_PROTOCOL
  value: {{ . }}
{{- end }}
{{- with $otlp.compression }}
- name: OTEL_EXPORTER_OTLP_COMPRESSION
  value: {{ . }}
{{- end }}
{{- if not $otlp.logs }}
- name: OTEL_LOGS_EXPORTER
  value: none
{{- end }}
{{- if not $otlp.traces }}
- name: OTEL_TRACES_EXPORTER
  value: none
{{- end }}
{{- with $otlp.headersSecret }}
{{- if .name }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom:
    secretKeyRef:
      name: {{ .name }}
      key: {{ .key }}
{{- end }}
{{- end }}
{{- with $otlp.tlsSecret }}
{{- if .name }}
{{- range $variable, $file := dict "CERTIFICATE" .ca "CLIENT_CERTIFICATE" .cert "CLIENT_KEY" .key }}
{{- if $file }}
- name: OTEL_EXPORTER_OTLP_{{ $variable }}
  value: /etc/customresource-exporter/otlp/{{ $file }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}
