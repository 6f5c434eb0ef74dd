{{/* The programs of operator/ that run, each with the roles it needs. */}}
{{- define "cloudherd.programs" -}}
{{- if .Values.agent.separate }}
cloudherd-gateway: {program: gateway, roles: [gateway]}
cloudherd-agent: {program: agent, roles: [agent]}
{{- else }}
cloudherd: {program: all_in_one, roles: [gateway, agent]}
{{- end }}
{{- end }}

{{- define "cloudherd.labels" -}}
app.kubernetes.io/name: cloudherd
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
