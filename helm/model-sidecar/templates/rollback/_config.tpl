{{- define "model-sidecar.rollbackFiles" -}}
{{- $rollback := .Values.rollback -}}
policy.yml: |
  {{- merge (dict "dry_run" $rollback.dryRun "policies" $rollback.policies) $rollback.settings | toYaml | nindent 2 }}
web.yml: |
  {{- if $rollback.tlsSecret }}
  tls_server_config: {cert_file: /etc/model-sidecar-tls/tls.crt, key_file: /etc/model-sidecar-tls/tls.key}
  {{- end }}
  {{- if $rollback.tokenSecret }}
  bearer_token_file: /etc/model-sidecar-token/token
  {{- end }}
{{- end }}

{{- /*
What the receiver may do in a namespace, as docs/rollback.md lists it: dict "root" $ "namespace" "ml". A dry run only reads.
*/ -}}
{{- define "model-sidecar.rollbackRules" -}}
{{- $rollback := .root.Values.rollback }}
{{- $kinds := concat ($rollback.settings.kinds | default (list "Deployment")) list }}
{{- range $rollback.settings.workloads }}{{ $kinds = append $kinds .kind }}{{ end }}
{{- $acts := false }}
{{- $scales := false }}
{{- range $policy := $rollback.policies }}
{{- if has $.namespace $policy.namespaces }}
{{- $dry := ternary $policy.dry_run $rollback.dryRun (hasKey $policy "dry_run") }}
{{- if not $dry }}{{ $acts = true }}{{ end }}
{{- if eq $policy.action "scale_down" }}{{ $scales = true }}{{ end }}
{{- end }}
{{- end }}
{{- $verbs := ternary (list "get" "list" "patch") (list "get" "list") $acts | toJson }}
{{- if has "Deployment" $kinds }}
- {apiGroups: [apps], resources: [deployments], verbs: {{ $verbs }}}
- {apiGroups: [apps], resources: [replicasets], verbs: [list]}
{{- end }}
{{- if $acts }}
- {apiGroups: [""], resources: [events], verbs: [create]}
{{- end }}
{{- if $scales }}
- {apiGroups: [autoscaling], resources: [horizontalpodautoscalers], verbs: {{ $verbs }}}
{{- end }}
{{- if has "Rollout" $kinds }}
- {apiGroups: [argoproj.io], resources: [rollouts], verbs: {{ $verbs }}}
{{- if $acts }}
- {apiGroups: [argoproj.io], resources: [rollouts/status], verbs: [patch]}
{{- end }}
{{- if not (has "Deployment" $kinds) }}
- {apiGroups: [apps], resources: [replicasets], verbs: [list]}
{{- end }}
{{- end }}
{{- if has "InferenceService" $kinds }}
- {apiGroups: [serving.kserve.io], resources: [inferenceservices], verbs: {{ $verbs }}}
{{- end }}
{{- end }}
