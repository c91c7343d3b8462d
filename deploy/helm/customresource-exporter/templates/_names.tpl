{{/* Names and labels that all objects share. */}}

{{- define "customresource-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 52 characters: a StatefulSet's pods get a label of this and a hash, and a label has at most 63. */}}
{{- define "customresource-exporter.fullname" -}}
{{- $name := include "customresource-exporter.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "customresource-exporter.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{/* A name that no other release in the cluster has: for what belongs to no namespace, or to another one. */}}
{{- define "customresource-exporter.clusterName" -}}
{{- $name := include "customresource-exporter.fullname" . -}}
{{- $namespace := include "customresource-exporter.namespace" . -}}
{{- if eq $name $namespace -}}{{- $name -}}{{- else -}}{{- printf "%s-%s" $namespace $name -}}{{- end -}}
{{- end -}}

{{- define "customresource-exporter.serviceAccountName" -}}
{{- default (ternary (include "customresource-exporter.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "customresource-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "customresource-exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Metadata of an object. Takes root, name, and, where they are given, namespace, labels, annotations. */}}
{{- define "customresource-exporter.metadata" -}}
{{- $root := .root -}}
{{- $labels := dict "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_") -}}
{{- $labels = merge (include "customresource-exporter.selectorLabels" $root | fromYaml) $labels -}}
{{- $_ := set $labels "app.kubernetes.io/version" $root.Chart.AppVersion -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- $annotations := merge (dict) (.annotations | default dict) $root.Values.commonAnnotations -}}
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- merge $labels (.labels | default dict) $root.Values.commonLabels | toYaml | nindent 4 }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "customresource-exporter.image" -}}
{{- $image := .Values.image -}}
{{- $registry := default $image.registry .Values.global.imageRegistry -}}
{{- with $registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default .Chart.AppVersion $image.tag }}{{ end -}}
{{- end -}}

{{- define "customresource-exporter.configMapName" -}}
{{- default (include "customresource-exporter.fullname" .) .Values.existingConfigMap -}}
{{- end -}}

{{- define "customresource-exporter.scheme" -}}
{{- ternary "https" "http" .Values.web.config.tls -}}
{{- end -}}
