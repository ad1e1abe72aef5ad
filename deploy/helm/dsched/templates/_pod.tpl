{{- define "dsched.labels" -}}
app.kubernetes.io/name: dsched
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "dsched.podSpec" -}}
{{- $root := .root -}}
automountServiceAccountToken: false
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
terminationGracePeriodSeconds: {{ .grace }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "dsched.labels" . | nindent 8 }}
containers:
  - name: dsched
    image: {{ $root.Values.image.repository }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    args: {{ toJson .args }}
    workingDir: /tmp
    env:
      - name: POD_NAME
        valueFrom: {fieldRef: {fieldPath: metadata.name}}
      {{- range $name, $value := .env }}
      - {name: {{ $name }}, value: {{ $value | quote }}}
      {{- end }}
    ports:
      {{- range $name, $port := .ports }}
      - {name: {{ $name }}, containerPort: {{ $port }}}
      {{- end }}
    # Neither page asks the store for the process's life: a Redis that is away restarts no pod.
    startupProbe:
      httpGet: {path: /livez, port: metrics}
      periodSeconds: 2
      failureThreshold: 30
    livenessProbe:
      httpGet: {path: /livez, port: metrics}
      periodSeconds: 10
      timeoutSeconds: 3
      failureThreshold: 3
    readinessProbe:
      httpGet: {path: /readyz, port: metrics}
      periodSeconds: 5
      timeoutSeconds: 3
    {{- if .lingers }}
    # Balancers learn that it goes before it stops to answer; SIGTERM then drains it.
    lifecycle:
      preStop:
        exec: {command: ["sleep", "5"]}
    {{- end }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {drop: ["ALL"]}
    {{- with .resources }}
    resources: {{ toJson . }}
    {{- end }}
    volumeMounts:
      - {name: config, mountPath: /etc/dsched/config, readOnly: true}
      - {name: secrets, mountPath: /etc/dsched/secrets, readOnly: true}
      - {name: tmp, mountPath: /tmp}
volumes:
  - name: config
    configMap: {name: {{ $root.Release.Name }}}
  - name: secrets
    secret: {secretName: {{ $root.Values.secretName }}, defaultMode: 0440}
  - name: tmp
    emptyDir: {}
{{- end }}

{{- define "dsched.deployment" -}}
{{- $values := dict "root" .root "component" .component -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .root.Release.Name }}-{{ .component }}
  labels:
    {{- include "dsched.labels" $values | nindent 4 }}
spec:
  {{- if .replicas }}
  replicas: {{ .replicas }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "dsched.labels" $values | nindent 6 }}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 1, maxSurge: 1}
  template:
    metadata:
      labels:
        {{- include "dsched.labels" $values | nindent 8 }}
      annotations:
        # A change of the configuration starts the pods anew, one after the other.
        dsched/config: {{ include "dsched.files" .root | sha256sum | trunc 16 }}
    spec:
      {{- include "dsched.podSpec" . | nindent 6 }}
{{- end }}

{{- define "dsched.files" -}}
dsched.yaml: |
  {{- toYaml .Values.config | nindent 2 }}
{{- range $name, $file := .Values.taskFiles }}
{{ $name }}: |
  {{- toYaml $file | nindent 2 }}
{{- end }}
{{- end }}

{{- define "dsched.args" -}}
{{- $args := list "--config" "/etc/dsched/config/dsched.yaml" "--role" .role -}}
{{- range .root.Values.apps }}{{ $args = concat $args (list "--app" .) }}{{ end -}}
{{- if .puts }}{{ range $name, $_ := .root.Values.taskFiles -}}
{{ $args = concat $args (list "--tasks" (printf "/etc/dsched/config/%s" $name)) }}
{{- end }}{{ end -}}
{{- toJson $args -}}
{{- end }}
