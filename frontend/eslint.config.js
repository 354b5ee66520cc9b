import vue from "eslint-plugin-vue";
import ts from "typescript-eslint";

export default ts.config(
  { ignores: ["dist/", "node_modules/", "src/api/schema.d.ts", "test-results/"] },
  ...ts.configs.strictTypeChecked,
  ...vue.configs["flat/recommended"],
  {
    languageOptions: {
      parserOptions: {
        parser: ts.parser,
        project: "./tsconfig.json",
        extraFileExtensions: [".vue"],
      },
    },
  },
  {
    rules: {
      // What the page's policy forbids, and what lets text become markup.
      "vue/no-v-html": "error",
      "vue/no-static-inline-styles": "error",
      "no-restricted-globals": ["error", { name: "fetch", message: "Use the client of @/api/client." }],
      "no-console": "error",
      eqeqeq: "error",
      // ESLint's own TypeScript doesn't read single-file components, so their types are errors to it; vue-tsc checks them.
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-call": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-return": "off",
      "@typescript-eslint/no-redundant-type-constituents": "off",
      // Layout is the editor's business; these rules fight over line breaks.
      "vue/max-attributes-per-line": "off",
      "vue/singleline-html-element-content-newline": "off",
      "vue/html-self-closing": ["warn", { html: { void: "always", normal: "always", component: "always" } }],
      "vue/html-indent": "off",
      "vue/html-closing-bracket-newline": "off",
      "vue/multi-word-component-names": "off",
      "vue/require-default-prop": "off",
      "vue/first-attribute-linebreak": "off",
      "vue/multiline-html-element-content-newline": "off",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/no-non-null-assertion": "error",
    },
  },
  { files: ["tests/**", "src/api/client.ts", "*.config.ts", "scripts/**"], rules: { "no-restricted-globals": "off", "no-console": "off" } },
  { files: ["**/*.{js,mjs}"], ...ts.configs.disableTypeChecked },
  { files: ["**/*.{js,mjs}"], rules: { "no-console": "off", "no-restricted-globals": "off" } },
);
