{{/* What all pods of the chart have in common. */}}

{{/* An annotation that changes with the configuration, so that pods are replaced by ones that have read it. */}}
{{- define "larder.configAnnotation" -}}
larder.io/config: {{ . | sha256sum | trunc 16 | quote }}
{{- end }}

{{- define "larder.podDefaults" -}}
automountServiceAccountToken: false
{{ include "larder.podCommon" . }}
{{- end }}

{{/* Of those, what a pod with a Kubernetes token has, too. */}}
{{- define "larder.podCommon" -}}
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Of the labels that the user demands of nodes: there are images for this platform only. */}}
{{- define "larder.nodeSelector" -}}
nodeSelector:
  {{- toYaml (merge (dict "kubernetes.io/os" "linux" "kubernetes.io/arch" "amd64") .) | nindent 2 }}
{{- end }}

{{/* Where pods of a service go, and who must give way to them. Of its values. */}}
{{- define "larder.placement" -}}
{{ include "larder.nodeSelector" (deepCopy .nodeSelector) }}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "larder.unprivilegedPod" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "larder.restricted" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/* One that fails soon after it was ready stops the rollout, before the next one is taken away. */}}
{{- define "larder.minReady" -}}
minReadySeconds: 10
{{- end }}

{{/* They ask about the process alone: one that waits for others is not to be restarted, and one that still reads its log
       or touches its memory, which may take many minutes, neither. Only readiness asks whether it serves, and has been taken
       into the cluster: an agent by a tracker and its kubelet, a tracker by a quorum whose log it has applied. */}}
{{- define "larder.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: admin}
  periodSeconds: 2
  failureThreshold: 150
livenessProbe:
  httpGet: {path: /healthz, port: admin}
  periodSeconds: 10
  failureThreshold: 3
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{/* Until Services have heard that the pod goes. */}}
{{- define "larder.leaveServices" -}}
lifecycle:
  preStop:
    sleep:
      seconds: 5
{{- end }}

{{/* No limit of CPU: a throttled process answers no beat in time. Of (list CPU MEMORY). */}}
{{- define "larder.resources" -}}
resources:
  requests:
    cpu: {{ index . 0 }}
    memory: {{ index . 1 }}
  limits:
    memory: {{ index . 1 }}
{{- end }}

{{/* Of (list $ COMPONENT SPREAD). Nodes whose taints keep the pods away do not count as places without any. */}}
{{- define "larder.spread" -}}
{{- $unsatisfiable := ternary "DoNotSchedule" "ScheduleAnyway" (eq (index . 2) "required") -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: {{ $unsatisfiable }}
    nodeTaintsPolicy: Honor
    labelSelector:
      matchLabels:
        {{- include "larder.selector" (list (index . 0) (index . 1)) | nindent 8 }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: {{ $unsatisfiable }}
    nodeTaintsPolicy: Honor
    labelSelector:
      matchLabels:
        {{- include "larder.selector" (list (index . 0) (index . 1)) | nindent 8 }}
{{- end }}

{{/* What the containers of `helm test` share: the CLI, and what it reads. */}}
{{- define "larder.testContainer" -}}
image: {{ include "larder.image" (list $ "cli") }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: [/usr/bin/larder]
{{ include "larder.restricted" . }}
{{ include "larder.resources" (list "10m" "64Mi") }}
volumeMounts:
  - {name: content, mountPath: /content, readOnly: true}
  - {name: tmp, mountPath: /tmp}
  - {name: larder, mountPath: /run/larder, readOnly: true}
{{- end }}
