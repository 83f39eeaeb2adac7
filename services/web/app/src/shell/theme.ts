import { createTheme } from '@mui/material/styles';

/** Light or dark as the system says; fonts of the system, so that Korean and Latin text match. */
export const theme = createTheme({
  colorSchemes: {
    light: { palette: { primary: { main: '#1f5fbf' } } },
    dark: { palette: { primary: { main: '#8ab4ff' } } },
  },
  typography: {
    fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Apple SD Gothic Neo", "Noto Sans KR", sans-serif',
    button: { textTransform: 'none' },
  },
});
