import js from '@eslint/js';
import a11y from 'eslint-plugin-jsx-a11y';
import hooks from 'eslint-plugin-react-hooks';
import globals from 'globals';
import typescript from 'typescript-eslint';

export default typescript.config({ ignores: ['dist'] }, js.configs.recommended, {
  files: ['**/*.{ts,tsx}'],
  extends: [...typescript.configs.strictTypeChecked, a11y.flatConfigs.recommended, hooks.configs.flat.recommended],
  languageOptions: { globals: globals.browser, parserOptions: { projectService: true } },
  rules: {
    // Numbers in template strings are what a template string is for.
    '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    // React event handlers may be async; errors in them are handled inside.
    '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { attributes: false } }],
  },
});
