import { defineConfig, globalIgnores } from 'eslint/config'
import tseslint from 'typescript-eslint'

export default defineConfig([
  // What examples/worker.ts imports is generated first: test/worker/examples.test.ts does that, and checks its types.
  globalIgnores(['examples/worker.ts', 'examples/client/']),
  globalIgnores(['dist/', 'coverage/', 'data/', 'openapi/', 'schemas/', 'bench/.cache/', '**/*.tmp/']),
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-console': 'error',
      'prefer-const': 'error',
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      // A Fastify plugin or handler is async by contract, whether it waits for something or not.
      '@typescript-eslint/require-await': 'off',
      // Our objects are closures: none of their functions looks at `this`.
      '@typescript-eslint/unbound-method': 'off',
      // A TypeBox schema and the type made from it share one name on purpose.
      '@typescript-eslint/no-redeclare': 'off',
    },
  },
  {
    // A describe() holds its tests and may be long; a response body is read as whatever came back.
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      'max-lines-per-function': 'off',
      'no-console': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
])
