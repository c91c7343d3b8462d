{{/* The rules that follow from the configuration: which groups and resources are read, with which verbs. */}}

{{/* Plural of a kind, as CRDs are usually named; rbac.plurals has the others. Takes kind. */}}
{{- define "customresource-exporter.plural" -}}
{{- $word := lower .kind -}}
{{- if regexMatch "(s|x|z|ch|sh)$" $word -}}
{{- printf "%ses" $word -}}
{{- else if regexMatch "[^aeiou]y$" $word -}}
{{- printf "%s%s" (trimSuffix "y" $word) "ies" -}}
{{- else -}}
{{- printf "%ss" $word -}}
{{- end -}}
{{- end -}}

{{/* JSON of {"groups": {group: {resource: true}}, "wild": […]}: what the includes name, and those that RBAC cannot say. */}}
{{- define "customresource-exporter.selected" -}}
{{- $watch := .Values.config.watch | default dict -}}
{{- $includes := ternary (list) ($watch.include | default (list "*/*")) (ne .Values.existingConfigMap "") -}}
{{- $groups := dict -}}
{{- $wild := list -}}
{{- range $include := $includes -}}
{{- $kind := regexFind "[^/]*$" $include -}}
{{- $group := trimSuffix (printf "/%s" $kind) $include -}}
{{- $group = ternary "" $group (or (eq $group "v1") (eq $group "core")) -}}
{{- if regexMatch "[*?\\[]" $group -}}
{{- $wild = append $wild $include -}}
{{- else -}}
{{- $key := ternary $kind (printf "%s.%s" $kind $group) (eq $group "") -}}
{{- $plural := ternary "*" (default (include "customresource-exporter.plural" (dict "kind" $kind)) (get $.Values.rbac.plurals $key)) (regexMatch "[*?\\[]" $kind) -}}
{{- $_ := set $groups $group (merge (dict $plural true) (get $groups $group | default dict)) -}}
{{- end -}}
{{- end -}}
{{- range $group := .Values.rbac.groups -}}
{{- $_ := set $groups $group (dict "*" true) -}}
{{- end -}}
{{- dict "groups" $groups "wild" $wild | toJson -}}
{{- end -}}

{{/* The rules for objects, as YAML. An object that leaves a selector is asked for by name: that takes `get`. */}}
{{- define "customresource-exporter.rules" -}}
{{- $selected := include "customresource-exporter.selected" . | fromJson -}}
{{- $watch := .Values.config.watch | default dict -}}
{{- $verbs := list "list" "watch" -}}
{{- if or $watch.labelSelector $watch.fieldSelector -}}
{{- $verbs = prepend $verbs "get" -}}
{{- end -}}
{{- $rules := list -}}
{{- range $group, $resources := $selected.groups -}}
{{- $names := ternary (list "*") (keys $resources | sortAlpha) (hasKey $resources "*") -}}
{{- $rules = append $rules (dict "apiGroups" (list $group) "resources" $names "verbs" $verbs) -}}
{{- end -}}
{{- $rules = concat $rules .Values.rbac.extraRules -}}
{{- if not .Values.rbac.allowSecrets -}}
{{- range $rule := $rules -}}
{{- $groups := $rule.apiGroups | default list -}}
{{- $resources := $rule.resources | default list -}}
{{- if and (or (has "" $groups) (has "*" $groups)) (or (has "secrets" $resources) (has "*" $resources)) -}}
{{- fail (printf "rbac: the rule for the groups %s and the resources %s lets Secrets be read; name the kinds that are meant, such as v1/ConfigMap, or set rbac.allowSecrets=true" (toJson $groups) (toJson $resources)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $rules -}}{{- toYaml . -}}{{- end -}}
{{- end -}}

{{- define "customresource-exporter.checkRights" -}}
{{- $mode := .Values.rbac.mode -}}
{{- $watch := .Values.config.watch | default dict -}}
{{- $selected := include "customresource-exporter.selected" . | fromJson -}}
{{- if and (eq $mode "byGroup") $selected.wild (not .Values.rbac.groups) -}}
{{- fail (printf "config.watch.include: RBAC has no wildcard for a part of a group, as in %q; name the groups in config.watch.include or rbac.groups, or set rbac.mode=aggregated" (first $selected.wild)) -}}
{{- end -}}
{{- if eq $mode "namespaced" -}}
{{- if .Values.existingConfigMap -}}
{{- fail "rbac.mode: namespaced needs to know the namespaces, and existingConfigMap hides them; write the configuration under config, or make the roles yourself with rbac.create=false" -}}
{{- end -}}
{{- if $selected.wild -}}
{{- fail (printf "config.watch.include: %q has a wildcard in its group, and without the right to watch CRDs only groups that are named are followed; write it as group/Kind or group/*" (first $selected.wild)) -}}
{{- end -}}
{{- if not $watch.namespaces -}}
{{- fail "config.watch.namespaces: is empty, and rbac.mode=namespaced makes Roles in the namespaces that it names; name them, or choose another rbac.mode" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A RoleBinding or ClusterRoleBinding to our ServiceAccount. Takes root, name, role, roleKind, namespace (or none). */}}
{{- define "customresource-exporter.binding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ ternary "RoleBinding" "ClusterRoleBinding" (ne (.namespace | default "") "") }}
{{ include "customresource-exporter.metadata" . }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .roleKind }}
  name: {{ .role }}
subjects:
  - kind: ServiceAccount
    name: {{ include "customresource-exporter.serviceAccountName" .root }}
    namespace: {{ include "customresource-exporter.namespace" .root }}
{{- end -}}
