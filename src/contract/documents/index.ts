import type { TObject } from '@sinclair/typebox'
import { namedSchemas } from '../index.ts'
import { BootstrapDiscovery } from './bootstrap-discovery.ts'
import { BootstrapReport } from './bootstrap-report.ts'
import { DocMeta } from './doc-meta.ts'
import { type DocumentName, type PublishedSchema, standalone } from './document.ts'
import { ExecutionRequestDocument } from './execution-request.ts'
import { PatchArtifact } from './patch-artifact.ts'
import { PatchLedgerEntry } from './patch-ledger-entry.ts'
import { PatchPolicy } from './patch-policy.ts'
import { PhaseSpec } from './phase-spec.ts'
import { ProfileExtension } from './profile-extension.ts'
import { ProjectProfile } from './project-profile.ts'
import { PromptInstance } from './prompt-instance.ts'
import { RouterConfig } from './router-config.ts'
import { RunEvent } from './run-event.ts'
import { RunRecord } from './run-record.ts'
import { StepAttemptDocument } from './step-attempt.ts'
import { TaskSpec } from './task-spec.ts'
import { WorkstreamSpec } from './workstream-spec.ts'

const SOURCES: Record<DocumentName, TObject> = {
  'doc-meta.v1': DocMeta,
  'run_record.v1': RunRecord,
  'step_attempt.v1': StepAttemptDocument,
  'run_event.v1': RunEvent,
  'patch_artifact.v1': PatchArtifact,
  'patch_ledger_entry.v1': PatchLedgerEntry,
  'patch_policy.v1': PatchPolicy,
  'prompt_instance.v1': PromptInstance,
  'execution_request.v1': ExecutionRequestDocument,
  'phase_spec.v1': PhaseSpec,
  'workstream_spec.v1': WorkstreamSpec,
  'task_spec.v1': TaskSpec,
  'router_config.v1': RouterConfig,
  'project_profile.v1': ProjectProfile,
  'profile_extension.v1': ProfileExtension,
  'bootstrap_discovery.v1': BootstrapDiscovery,
  'bootstrap_report.v1': BootstrapReport,
}

/** The framework's documents by name, each as a JSON Schema (2020-12) that stands alone. */
export const documents: ReadonlyMap<string, PublishedSchema> = new Map(
  Object.entries(SOURCES).map(([name, schema]) => [
    name,
    standalone(name as DocumentName, schema, [...namedSchemas, TaskSpec]),
  ]),
)
