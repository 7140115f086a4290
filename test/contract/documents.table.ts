/**
 * The framework's documents, field by field, as its own documentation has them: copied by hand, so that the
 * schemas are held against something else than their source. Each line is the field's path, type, whether it is
 * required, and its rules; every root is closed. Where the framework's sources disagree, it is what was decided:
 * one set of states and of classification words, event kinds as an open set, each default once, every rule named.
 */
export const TABLES: Record<string, string> = {
  'doc-meta.v1': String.raw`
    meta_version                   string        yes const doc-meta.v1
    doc_ulid                       string        yes ULID26
    doc_type                       string        yes enum global_spec / core_spec / project_profile / phase_spec_master / phase_spec_instance / workstream_spec / error_pipeline_spec / tool_profile / capability_card / run_artifact / other
    doc_layer                      string        yes enum global / framework / project / module / run
    title                          string        yes minLength 1
    summary                        string        yes minLength 1; maxLength 512
    version                        string        yes pattern ^[0-9]+\.[0-9]+\.[0-9]+$
    status                         string        yes enum draft / active / deprecated / superseded / experimental
    schema_ref                     string        yes minLength 1
    created_at                     string        yes format date-time
    updated_at                     string        yes format date-time
    author_type                    string        yes enum human / ai / mixed
    owner                          string        yes minLength 1
    security_tier                  string        yes enum public / internal / confidential / restricted
    project_id                     string|null   -
    module_id                      string|null   -
    phase_id                       string|null   -
    workstream_id                  string|null   -
    spec_refs                      array<string> -   uniqueItems; items: ULID26
    tags                           array<string> -   uniqueItems; items: minLength 1
    patch_policy                   object        -   closed
    patch_policy.patch_required    boolean       -   default true
    patch_policy.require_issue_ref boolean       -   default true
    patch_policy.min_reviewers     integer       -   minimum 0; default 1
    ascii_only                     boolean       -   default true
    max_line_length                integer       -   minimum 40
    last_validated_at              string        -   format date-time
    checksum                       string        -
  `,
  'run_record.v1': String.raw`
    run_id                   string      yes ULID26
    project_id               string      yes minLength 1
    phase_id                 string      yes minLength 1
    workstream_id            string|null -
    execution_request_id     string|null -   ULID26
    created_at               string      yes format date-time
    started_at               string|null -   format date-time
    ended_at                 string|null -   format date-time
    state                    string      yes enum pending / running / succeeded / failed / canceled / quarantined
    state_reason             string|null -
    origin                   object      -   closed
    origin.trigger_type      string      -   enum manual / ci / error_pipeline / scheduled / other
    origin.trigger_ref       string|null -
    origin.requested_by      string|null -
    counters                 object      -   closed
    counters.step_attempts   integer     -   minimum 0
    counters.patches_created integer     -   minimum 0
    counters.patches_applied integer     -   minimum 0
    counters.errors          integer     -   minimum 0
  `,
  'step_attempt.v1': String.raw`
    step_attempt_id           string        yes ULID26
    run_id                    string        yes ULID26
    sequence                  integer       yes minimum 1
    tool_id                   string        yes minLength 1
    tool_run_id               string|null   -
    execution_request_id      string|null   -   ULID26
    prompt_id                 string|null   -   ULID26
    started_at                string        yes format date-time
    ended_at                  string|null   -   format date-time
    state                     string        yes enum running / succeeded / failed / canceled
    state_reason              string|null   -
    outputs                   object        -   closed
    outputs.patch_ids         array<string> -   uniqueItems; items: ULID26
    outputs.logs_path         string|null   -
    outputs.raw_response_path string|null   -
  `,
  'run_event.v1': String.raw`
    event_id        string      yes ULID26
    run_id          string|null yes ULID26
    step_attempt_id string|null -   ULID26
    ts              string      yes format date-time
    kind            string      yes pattern ^[a-z][a-z0-9_]{0,63}$
    payload         object|null -
  `,
  'patch_artifact.v1': String.raw`
    patch_id                    string        yes ULID26
    format                      string        yes enum unified_diff
    target_repo                 string        yes minLength 1
    base_ref                    string|null   -
    base_commit                 string|null   -
    origin                      object        yes closed
    origin.execution_request_id string        yes ULID26
    origin.prompt_id            string|null   -   ULID26
    origin.phase_id             string|null   -
    origin.workstream_id        string|null   -
    origin.tool_id              string        yes minLength 1
    origin.tool_run_id          string|null   -
    origin.created_at           string        yes format date-time
    summary                     string        -   maxLength 512
    scope                       object        -   closed
    scope.files_touched         array<string> -   uniqueItems; items: minLength 1
    scope.line_insertions       integer       -   minimum 0
    scope.line_deletions        integer       -   minimum 0
    scope.hunks                 integer       -   minimum 0
    diff_text                   string        yes minLength 1
  `,
  'patch_ledger_entry.v1': String.raw`
    ledger_id                      string        yes ULID26
    patch_id                       string        yes ULID26
    project_id                     string        yes minLength 1
    phase_id                       string|null   -
    workstream_id                  string|null   -
    execution_request_id           string|null   -   ULID26
    state                          string        yes enum created / validated / queued / applied / apply_failed / verified / committed / rolled_back / quarantined / dropped
    state_history                  array<object> -
    state_history[].state          string        yes
    state_history[].at             string        yes format date-time
    state_history[].reason         string        -
    validation                     object        yes closed
    validation.format_ok           boolean       yes
    validation.scope_ok            boolean       yes
    validation.constraints_ok      boolean       yes
    validation.tests_ran           boolean       -
    validation.tests_passed        boolean       -
    validation.validation_errors   array<string> -
    apply                          object        -   closed
    apply.attempts                 integer       -   minimum 0
    apply.last_attempt_at          string        -   format date-time
    apply.last_error_code          string        -
    apply.last_error_message       string        -
    apply.workspace_path           string        -
    apply.applied_files            array<string> -   uniqueItems
    quarantine                     object        -   closed
    quarantine.is_quarantined      boolean       -
    quarantine.quarantine_reason   string        -
    quarantine.quarantine_path     string        -
    quarantine.quarantined_at      string        -   format date-time
    relations                      object        -   closed
    relations.replaces_patch_id    string|null   -   ULID26
    relations.rollback_of_patch_id string|null   -   ULID26
    relations.chain_id             string|null   -
  `,
  'patch_policy.v1': String.raw`
    patch_policy_id                     string        yes minLength 1
    scope                               object        yes closed
    scope.level                         string        yes enum global / project / phase / doc
    scope.project_id                    string|null   -
    scope.phase_id                      string|null   -
    scope.doc_ulid                      string|null   -   ULID26
    constraints                         object        yes closed
    constraints.allowed_formats         array<string> -   uniqueItems
    constraints.patch_required          boolean       -   default true
    constraints.max_lines_changed       integer       -   minimum 1
    constraints.max_files_changed       integer       -   minimum 1
    constraints.forbid_binary_patches   boolean       -   default true
    constraints.forbid_touching_paths   array<string> -   uniqueItems
    constraints.require_tests_for_paths array<string> -   uniqueItems
    constraints.require_issue_ref       boolean       -   default true
    constraints.min_reviewers           integer       -   minimum 0; default 1
    constraints.oscillation_window      integer       -   minimum 1
    constraints.oscillation_threshold   integer       -   minimum 1
  `,
  'prompt_instance.v1': String.raw`
    prompt_instance_id   string yes ULID26
    template_id          string yes
    target_tool          string yes
    kind                 string yes
    sections             object yes closed
    sections.HEADER      string -
    sections.OBJECTIVE   string yes
    sections.CONTEXT     string -
    sections.CONSTRAINTS string -
    sections.FILES_SCOPE string -
    sections.OUTPUT_SPEC string -
    sections.VALIDATION  string -
  `,
  'execution_request.v1': String.raw`
    request_id                    string        yes ULID26
    project_id                    string        yes minLength 1
    phase_id                      string        yes minLength 1
    workstream_id                 string|null   -
    task_kind                     string        yes
    origin                        object        -
    origin.created_by             string        -
    origin.created_at             string        -   format date-time
    classification                object        yes
    classification.complexity     string        -   enum trivial / simple / moderate / complex / expert
    classification.risk_tier      string        -   enum low / medium / high
    classification.domain         string        -
    classification.priority       string        -   enum low / normal / high / critical
    resource_scope                object        yes
    resource_scope.read           array<string> -
    resource_scope.write          array<string> -
    resource_scope.create         array<string> -
    resource_scope.forbidden      array<string> -
    constraints                   object        -
    constraints.patch_only        boolean       -
    constraints.tests_must_pass   boolean       -
    constraints.max_lines_changed integer       -
    prompt_spec                   string|null   -   ULID26
    routing                       object        yes
    routing.strategy              string        yes enum fixed / round_robin / auto
    routing.allowed_tools         array<string> -
    routing.max_attempts          integer       -   minimum 1; default 3
    routing.timeout_seconds       integer       -   minimum 1; default 600
    telemetry                     object        -
    telemetry.correlation_id      string        -
    telemetry.trace_flags         array<string> -
  `,
  'phase_spec.v1': String.raw`
    phase_id                                string        yes minLength 1
    name                                    string        yes minLength 1
    category                                string        yes
    description                             string        -
    resource_scope                          object        yes
    resource_scope.type                     string        yes
    resource_scope.read                     array<string> -
    resource_scope.write                    array<string> -
    resource_scope.create                   array<string> -
    resource_scope.forbidden                array<string> -
    constraints                             object        yes
    constraints.patch                       object        -
    constraints.patch.patch_required        boolean       -
    constraints.patch.max_lines_changed     integer       -
    constraints.patch.max_files_changed     integer       -
    constraints.tests                       object        -
    constraints.tests.tests_must_run        boolean       -
    constraints.tests.tests_must_pass       boolean       -
    constraints.tests.test_command          string        -
    constraints.behavior                    object        -
    constraints.behavior.ascii_only         boolean       -
    constraints.behavior.require_doc_update boolean       -
    acceptance                              object        yes
    acceptance.mode                         string        yes enum all / any / custom
    acceptance.checks                       array<object> yes
    acceptance.checks[].id                  string        yes
    acceptance.checks[].type                string        yes
    acceptance.checks[].description         string        -
    acceptance.checks[].command             string        -
    acceptance.checks[].required            boolean       -
    acceptance.checks[].severity            string        -
    acceptance.post_actions                 array<string> -
  `,
  'workstream_spec.v1': String.raw`
    workstream_id            string              yes minLength 1
    project_id               string              yes minLength 1
    phase_id                 string              yes minLength 1
    name                     string              yes minLength 1
    objective                string              yes
    tags                     array<string>       -
    resource_scope           object              -
    constraints              object              -
    concurrency              object              -
    concurrency.max_parallel integer             -   minimum 1; default 1
    error_handling           object              -
    error_handling.strategy  string              -   enum fail_fast / continue / escalate
    acceptance               object              -
    acceptance.mode          string              -   enum all / any / custom
    acceptance.checks        array<object>       -
    tasks                    array<task_spec.v1> yes
  `,
  'task_spec.v1': String.raw`
    task_id                    string        yes minLength 1
    name                       string        yes minLength 1
    kind                       string        yes
    depends_on                 array<string> -
    allow_parallel             boolean       -   default false
    classification             object        -
    classification.complexity  string        -   enum trivial / simple / moderate / complex / expert
    classification.risk_tier   string        -   enum low / medium / high
    classification.domain      string        -
    classification.priority    string        -   enum low / normal / high / critical
    resource_scope_delta       object        -
    constraints_delta          object        -
    execution                  object        -
    execution.max_attempts     integer       -   minimum 1; default 3
    execution.timeout_seconds  integer       -   minimum 1; default 600
    execution.retry_strategy   string        -
    execution.background       boolean       -
    prompt_template_ref        string        -
    prompt_overrides           object        -
    execution_request_template object        -
    error_handling             object        -
    error_handling.on_failure  string        -
    acceptance                 object        -
    acceptance.checks          array<object> -
  `,
  'router_config.v1': String.raw`
    version                            string        yes pattern ^[0-9]+\.[0-9]+\.[0-9]+$
    apps                               map<object>   yes
    apps.<key>.kind                    string        yes enum tool / validator / analyzer
    apps.<key>.command                 string        yes
    apps.<key>.capabilities            object        yes
    apps.<key>.capabilities.task_kinds array<string> -
    apps.<key>.capabilities.domains    array<string> -
    apps.<key>.limits                  object        -
    apps.<key>.limits.max_parallel     integer       -   default 1
    apps.<key>.limits.timeout_seconds  integer       -
    apps.<key>.safety_tier             string        -   enum low / medium / high
    routing                            object        yes
    routing.rules                      array<object> -
    routing.rules[].id                 string        yes minLength 1
    routing.rules[].match              object        yes
    routing.rules[].match.task_kind    array<string> -
    routing.rules[].match.risk_tier    array<string> -   items: enum low / medium / high
    routing.rules[].match.complexity   array<string>|string - items: enum trivial / simple / moderate / complex / expert
    routing.rules[].select_from        array<string> -
    routing.rules[].strategy           string        -   enum fixed / round_robin / auto
    routing.rules[].validate_with      array<string> -
    routing.rules[].required           boolean       -
    defaults                           object        -
    defaults.max_attempts              integer       -   default 3
    defaults.timeout_seconds           integer       -   default 600
    defaults.strategy                  string        -   enum fixed / round_robin / auto
  `,
  'project_profile.v1': String.raw`
    project_id                      string        yes minLength 1
    project_name                    string        yes minLength 1
    project_root                    string        yes minLength 1
    domain                          string        yes enum software-dev / data-pipeline / operations / documentation / mixed
    profile_id                      string        yes minLength 1
    profile_version                 string        -   pattern ^[0-9]+\.[0-9]+\.[0-9]+$
    resource_types                  map<object>   yes
    resource_types.<key>.root       string        -
    resource_types.<key>.tracked_by string        -
    resource_types.<key>.exclusions array<string> -
    available_tools                 array<object> yes
    available_tools[].tool_id       string        yes
    available_tools[].command       string        yes
    available_tools[].capabilities  array<string> yes
    available_tools[].max_parallel  integer       -   minimum 1; default 1
    framework_paths                 object        yes
    framework_paths.tasks_dir       string        yes
    framework_paths.ledger_dir      string        yes
    framework_paths.worktrees_dir   string        yes
    framework_paths.quarantine_dir  string        yes
    framework_paths.registry_file   string        yes
    constraints                     object        yes
    constraints.patch_only          boolean       -   default true
    constraints.tests_must_pass     boolean       -   default true
    constraints.ascii_only          boolean       -   default true
    constraints.max_lines_changed   integer       -   minimum 1
    constraints.max_files_changed   integer       -   minimum 1
    constraints.require_issue_ref   boolean       -
    framework_version               string        -   pattern ^[0-9]+\.[0-9]+\.[0-9]+$
  `,
  'profile_extension.v1': String.raw`
    profile_id                         string        yes minLength 1
    profile_version                    string        yes pattern ^[0-9]+\.[0-9]+\.[0-9]+$
    domain                             string        -
    description                        string        -
    extends_core                       array<string> yes items: enum COOPERATION_SPEC / PHASE_SPEC_MASTER / WORKSTREAM_SPEC / TASK_ROUTING_SPEC / PROMPT_RENDERING_SPEC / PATCH_MANAGEMENT_SPEC
    adds_resource_types                array<object> yes
    adds_resource_types[].type         string        yes
    adds_resource_types[].scope_format string        yes
    adds_resource_types[].operations   array<string> yes items: enum read / write / create / delete / execute
    adds_change_types                  array<object> -
    adds_change_types[].kind           string        yes
    adds_change_types[].format         string        yes
    adds_change_types[].validation     array<string> -
    adds_task_kinds                    array<string> -
    adds_constraints                   object        -
    adds_constraints.patch_only        boolean       -
    adds_constraints.max_lines_changed integer       -
    adds_constraints.max_files_changed integer       -
    adds_constraints.tests_must_pass   boolean       -
    adds_constraints.ascii_only        boolean       -
    adds_validation_types              array<object> -
    adds_validation_types[].type       string        yes
    adds_validation_types[].command    string        yes
    phase_templates                    array<object> -
    phase_templates[].phase_id         string        -
    phase_templates[].name             string        -
    phase_templates[].category         string        -
    phase_templates[].template_path    string        -
  `,
  'bootstrap_discovery.v1': String.raw`
    project_root                         string        yes minLength 1
    project_name                         string        yes minLength 1
    domain                               string        yes enum software-dev / data-pipeline / operations / documentation / mixed
    domain_confidence                    number        -   minimum 0; maximum 1
    languages                            array<object> yes
    languages[].language                 string        yes
    languages[].percentage               number        yes minimum 0; maximum 100
    languages[].file_count               integer       -   minimum 0
    frameworks                           array<object> -
    frameworks[].framework               string        yes
    frameworks[].indicator               string        yes
    resource_types                       array<string> yes
    available_tools                      array<object> yes
    available_tools[].tool_id            string        yes
    available_tools[].detected_via       string        yes
    available_tools[].version            string        -
    existing_ci                          string|null   -
    vcs                                  string|null   -
    inferred_constraints                 object        -
    inferred_constraints.tests_must_pass boolean       -
    inferred_constraints.lint_required   boolean       -
    inferred_constraints.patch_only      boolean       -
    directory_structure                  object        -
    directory_structure.src_dirs         array<string> -
    directory_structure.test_dirs        array<string> -
    directory_structure.doc_dirs         array<string> -
    directory_structure.config_dirs      array<string> -
    directory_structure.script_dirs      array<string> -
    discovery_timestamp                  string        -   format date-time
  `,
  'bootstrap_report.v1': String.raw`
    project_name                              string        yes
    domain                                    string        yes
    profile_id                                string        yes
    profile_version                           string        -
    status                                    string        yes enum ready / partial / failed / needs_human
    discovery_summary                         object        -
    discovery_summary.languages               string        -
    discovery_summary.frameworks              array<string> -
    discovery_summary.version_control         string        -
    discovery_summary.ci_cd                   string        -
    generated_artifacts                       array<object> yes
    generated_artifacts[].path                string        yes
    generated_artifacts[].type                string        -
    generated_artifacts[].status              string        yes enum created / validated / failed
    directories_created                       array<string> -
    configuration                             object        yes
    configuration.patch_only_mode             boolean       -
    configuration.test_requirement            string        -
    configuration.max_lines_per_patch         integer       -
    configuration.available_tools             array<string> -
    validation_results                        object        -
    validation_results.validation_status      string        -   enum passed / failed / needs_human
    validation_results.errors                 array<string> -
    validation_results.warnings               array<string> -
    validation_results.auto_fixes_applied     integer       -   minimum 0
    validation_results.human_decisions_needed integer       -   minimum 0
    next_steps                                object        -
    next_steps.for_human                      array<string> -
    next_steps.for_ai_agent                   array<string> -
    initialization_time                       string        -   format date-time
    ready_for_workstreams                     boolean       -
  `,
}
